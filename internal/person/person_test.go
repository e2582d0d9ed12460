package person_test

import (
	"os"
	"testing"
)

// roles are what this binary does instead of testing when PERSON_TEST_ROLE names one.
var roles = map[string]func() int{}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv("PERSON_TEST_ROLE")]; role != nil {
		os.Exit(role())
	}
	os.Exit(m.Run())
}
