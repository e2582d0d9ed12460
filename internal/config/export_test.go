package config

// PlacesOn gives the places of the config file and of the state folder on any system.
func PlacesOn(goos, home string, env map[string]string) (config, state string, err error) {
	s := system{goos, func(name string) string { return env[name] }, home}
	if config, err = s.config(); err != nil {
		return "", "", err
	}
	state, err = s.state()
	return config, state, err
}

// EmptyObject makes sure that an object stands at key.
func EmptyObject(b []byte, key string) ([]byte, error) {
	doc, err := editable(b)
	if err != nil {
		return nil, err
	}
	if doc, err = doc.merge([]string{key}, object{}); err != nil {
		return nil, err
	}
	return doc.bytes(), nil
}

// Span gives the offsets of the value at keys.
func Span(b []byte, keys ...string) (start, end int, found bool) {
	doc, err := parseDocument("", b)
	if err != nil {
		return 0, 0, false
	}
	v := doc.find(keys...)
	if v == nil {
		return 0, 0, false
	}
	return len(doc.mark) + v.StartOffset, len(doc.mark) + v.EndOffset, true
}
