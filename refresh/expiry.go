package refresh

import (
	"time"

	"mcp-valet/keyring"
)

// Margin is how long before its expiry a token is renewed: a fifth of its life and at least a minute, but never more
// than half of its life.
func Margin(obtained, expiry time.Time) time.Duration {
	if obtained.IsZero() {
		return time.Minute // its life is unknown
	}
	life := max(expiry.Sub(obtained), 0)
	return min(max(life/5, time.Minute), life/2)
}

// ends is when the access token of c ends, zero for never as far as known. What the issuer said when it gave the token
// wins over the token's own claim, which was made by another clock.
func ends(c *keyring.Credential) time.Time {
	if !c.Expiry.IsZero() {
		return c.Expiry
	}
	claims, _, err := Inspect(c.AccessToken)
	if err != nil {
		return time.Time{} // vet refuses it
	}
	return claims.Expiry
}

// Validity is when the access token of c is to be renewed, and from when on it is not given out any more. Either is zero
// for never: there is nothing to renew it with, or no end of it is known.
func Validity(c *keyring.Credential) (due, over time.Time) {
	end := ends(c)
	if end.IsZero() {
		return
	}
	margin := Margin(c.ObtainedAt, end)
	if !c.RefreshToken.IsZero() {
		due = end.Add(-margin)
	}
	return due, end.Add(-min(maxSkew, margin/2))
}

// good tells whether c can be given out at the time and needs no renewal. A credential obtained in the future was
// obtained before the clock was put back: how much of its life is over cannot be known, so it is due for renewal,
// which sets its dates right.
func good(a Account, c *keyring.Credential, at time.Time) bool {
	if !unexpired(a, c, at) {
		return false
	}
	end := ends(c)
	if end.IsZero() || c.RefreshToken.IsZero() {
		return true // there is nothing to renew, or nothing to renew it with
	}
	return !fromFuture(c, at) && at.Add(Margin(c.ObtainedAt, end)).Before(end)
}

// unexpired tells whether c can be given out at the time, due for renewal or not: it is addressed as the account wants,
// and its end is not yet here.
func unexpired(a Account, c *keyring.Credential, at time.Time) bool {
	if c.AccessToken.IsZero() || !addressed(a, c) {
		return false
	}
	end := ends(c)
	if end.IsZero() {
		return true
	}
	// A clock put back by less than the token's life may have left it alive; the server that gets it is the judge.
	// Put back by more, it would stay alive for as long as the clock was wrong by.
	if fromFuture(c, at) && c.ObtainedAt.Sub(at) >= end.Sub(c.ObtainedAt) {
		return false
	}
	return at.Add(min(maxSkew, Margin(c.ObtainedAt, end)/2)).Before(end)
}

// fromFuture tells whether c was obtained by a clock that has been put back since.
func fromFuture(c *keyring.Credential, at time.Time) bool {
	return c.ObtainedAt.After(at.Add(clockLeeway))
}

// lifetime is when an access token asked for at the time ends, zero if nobody says: the earlier of what the issuer's
// answer and the token itself tell.
func lifetime(token keyring.Secret, answered, asked time.Time) time.Time {
	claims, _, err := Inspect(token)
	if err != nil || claims.Expiry.IsZero() {
		return answered
	}
	claimed := claims.Expiry
	if !claimed.After(asked) {
		claimed = asked.Add(skewedLife(claims))
	}
	if answered.IsZero() || claimed.Before(answered) {
		return claimed
	}
	return answered
}

// skewedLife is how long a fresh token lives that has ended already by our clock: the issuer's clock, which "exp" is by,
// is another one, so the time from its "iat" is taken. A minute is a guess that neither ends nor keeps a token for long.
func skewedLife(claims Claims) time.Duration {
	if life := claims.Expiry.Sub(claims.IssuedAt); !claims.IssuedAt.IsZero() && life > 0 {
		return life
	}
	return time.Minute
}
