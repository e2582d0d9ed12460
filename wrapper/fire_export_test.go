package wrapper

import "reflect"

// LocksAreTurns tells whether a session's locks are such that a goroutine which waits for one does not stop a bubble's clock.
func LocksAreTurns() bool {
	for _, name := range []string{"starts", "mu"} {
		if lock, ok := reflect.TypeFor[session]().FieldByName(name); !ok || lock.Type != reflect.TypeFor[turn]() {
			return false
		}
	}
	return true
}

// The times that Hasten shortens.
var realHold, realTick, realSilence, realDelays = holdTime, tickTime, silenceTime, crashDelays

// AtItsPace undoes Hasten until undo is called, for tests in which time costs nothing.
func AtItsPace() (undo func()) {
	hold, tick, silence, delays := holdTime, tickTime, silenceTime, crashDelays
	holdTime, tickTime, silenceTime, crashDelays = realHold, realTick, realSilence, realDelays
	return func() { holdTime, tickTime, silenceTime, crashDelays = hold, tick, silence, delays }
}
