package cli

// NoKeychain makes this process behave as on a machine that has no keychain.
func NoKeychain() { keychainAnswers = func(string) (bool, error) { return false, nil } }
