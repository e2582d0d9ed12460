package person_test

import (
	"errors"
	"testing"

	"mcp-valet/internal/person"
)

func TestNotifyNothing(t *testing.T) {
	for _, texts := range [][2]string{{"", "text"}, {"title", ""}, {"title", "\x1b[2J\n"}} {
		if err := person.Notify(t.Context(), texts[0], texts[1]); !errors.Is(err, person.ErrNoText) {
			t.Errorf("%q: %v", texts, err)
		}
	}
}
