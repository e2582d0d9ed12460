package issuer

import (
	"errors"
	"time"
)

// Who guesses user codes is allowed so many wrong ones in a window of time
// (RFC 8628 section 5.1). With 20^8 codes that leaves nothing to hope for.
const (
	maxGuesses  = 20
	guessWindow = 10 * time.Minute
)

var errGuessing = errors.New("too many wrong user codes")

// guesses counts wrong user codes in the current window. All callers share it: on
// loopback there is nothing to tell them apart by.
type guesses struct {
	since time.Time
	wrong int
}

func (g *guesses) exhausted(at time.Time) bool {
	if at.Sub(g.since) >= guessWindow {
		*g = guesses{since: at}
	}
	return g.wrong >= maxGuesses
}

// lookUp finds the pending device that a person typed the code of. It returns
// ErrUnknownCode or errGuessing.
func (i *Issuer) lookUp(typed string) (deviceRequest, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := time.Now()
	if i.guesses.exhausted(at) {
		return deviceRequest{}, errGuessing
	}
	d, ok := i.deviceByUserCode(at, normalUserCode(typed))
	if !ok {
		i.guesses.wrong++
		return deviceRequest{}, ErrUnknownCode
	}
	return *d, nil
}
