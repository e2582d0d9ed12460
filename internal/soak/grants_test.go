//go:build linux

package soak

import (
	"fmt"
	"net/http"
	"time"
)

func (is *issuer) token(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm(); r.PostForm.Get("grant_type") == "refresh_token" {
		is.renew(w, r)
		return
	}
	is.faults("poll", is.s.poll, is.redeem)(w, r)
}

// renew is the refresh grant, with its faults.
func (is *issuer) renew(w http.ResponseWriter, r *http.Request) {
	token := r.PostForm.Get("refresh_token")
	is.mu.Lock()
	g := is.grants[token]
	is.mu.Unlock()
	if g == nil {
		is.s.breach(onePerToken, "a refresh token came that was never given out: %s", is.known(token))
		refuse(w, "invalid_grant")
		return
	}
	is.arrives(g)
	fault := is.next("refresh", is.s.refresh)
	known := is.renewed(w, r, token, g, fault)
	is.mu.Lock()
	defer is.mu.Unlock()
	g.inFlight--
	if !known || r.Context().Err() != nil {
		g.unknown++
		g.lost = time.Now()
	}
}

// backOff is how long a refresh token is left alone, at least, after an unknown outcome. Once its rotation has been lost the
// next answer says so, and that is the last: see refused.
const backOff = 3500 * time.Millisecond

// arrives notes a request with g. One whose client has been killed may look as if it were still there.
func (is *issuer) arrives(g *grant) {
	busy := func() bool {
		is.mu.Lock()
		defer is.mu.Unlock()
		return g.inFlight > 0
	}
	for deadline := time.Now().Add(300 * time.Millisecond); busy() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	met("invariant 2: refresh requests watched")
	is.mu.Lock()
	defer is.mu.Unlock()
	if g.inFlight > 0 {
		is.s.breach(onePerToken, "refresh token %d is in flight twice", g.n)
	}
	g.inFlight++
	g.requests++
	is.s.note("issuer: refresh token %d comes, request %d", g.n, g.requests)
	if g.refused > 0 && !is.s.excused(killedAgent, corrupted, diskFull) {
		is.s.breach(onePerToken, "refresh token %d comes again after it was refused", g.n)
	}
	if g.unknown > 0 {
		met("invariant 2: retries after an unknown outcome")
		if since := time.Since(g.lost); is.faulty && since < backOff && !is.s.excused(killedAgent, corrupted, diskFull) {
			is.s.breach(onePerToken, "refresh token %d comes again %s after an unknown outcome", g.n, since)
		}
	}
}

// renewed does the work, and tells whether the client knows what came of it.
func (is *issuer) renewed(w http.ResponseWriter, r *http.Request, token string, g *grant, fault string) (known bool) {
	if is.before(w, r, fault) {
		return fault != "hang" && fault != "reset-before" && fault != "garbage"
	}
	if fault == "slow-ok" && !is.pause(r.Context(), 1500*time.Millisecond) {
		return false
	}
	is.mu.Lock()
	if fault == "dead" {
		g.family.revoked = true
		is.s.excuse(deadByPlan)
	}
	if g.spent || g.family.revoked {
		if g.spent && !g.family.revoked {
			met("issuer: a spent refresh token ends its family")
		}
		g.family.revoked = true
		g.refused++
		is.mu.Unlock()
		refuse(w, "invalid_grant")
		return true
	}
	keep := ""
	if fault == "keeps-token" {
		keep = token
	}
	pair := is.tokens(g.family, keep)
	g.spent = keep == ""
	is.mu.Unlock()
	switch fault {
	case "late-reset":
		is.pause(r.Context(), time.Second)
		fallthrough
	case "reset-after":
		is.s.excuse(lostAnswer)
		reset(w)
		return false
	case "truncated":
		is.s.excuse(lostAnswer)
		w.Header().Set("Content-Length", "2000")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,`, pair["access_token"])
		return false
	}
	answer(w, http.StatusOK, pair)
	return true
}

// giveCode is the device authorization.
func (is *issuer) giveCode(w http.ResponseWriter, _ *http.Request) {
	is.mu.Lock()
	defer is.mu.Unlock()
	n := len(is.codes)
	c := &code{n: n, device: fresh("dc", n), issued: time.Now(), expires: time.Now().Add(is.s.codeLife), verdict: verdict{says: "approve"}}
	if is.faulty {
		c.verdict = is.s.person[n%len(is.s.person)]
		met("person: %s", c.verdict.says)
	} else {
		c.expires = c.expires.Add(time.Minute)
	}
	is.s.note("issuer: code %d, the person will %s it after %s", n, c.verdict.says, c.verdict.after)
	for _, other := range is.codes {
		if other.replaced.IsZero() {
			other.replaced = time.Now()
		}
	}
	is.codes = append(is.codes, c)
	user := fmt.Sprintf("CODE-%04d", n)
	answer(w, http.StatusOK, map[string]any{
		"device_code": c.device, "user_code": user, "verification_uri": is.URL + "/activate",
		"verification_uri_complete": is.URL + "/activate?user_code=" + user,
		"expires_in":                int(time.Until(c.expires).Seconds()), "interval": 1,
	})
}

// redeem is a poll for a device code's tokens.
func (is *issuer) redeem(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	defer is.mu.Unlock()
	c := is.codeOf(r.PostForm.Get("device_code"))
	switch {
	case c == nil:
		is.s.breach(onePrompt, "a device code came that was never given out")
		refuse(w, "invalid_grant")
		return
	case c.closed:
		refuse(w, "access_denied")
		return
	}
	met("invariant 3: polls watched")
	if !c.replaced.IsZero() && time.Since(c.replaced) > 300*time.Millisecond && !is.s.excused(byHand) {
		is.s.breach(onePrompt, "code %d is polled for, %s after another one was given out", c.n, time.Since(c.replaced))
	}
	switch after := time.Since(c.issued); {
	case c.used:
		refuse(w, "invalid_grant")
	case time.Now().After(c.expires):
		refuse(w, "expired_token")
	case c.verdict.says == "deny" && after >= c.verdict.after:
		refuse(w, "access_denied")
	case c.verdict.says == "approve" && after >= c.verdict.after:
		c.used = true
		met("sign-ins done")
		answer(w, http.StatusOK, is.tokens(&family{}, ""))
	default:
		refuse(w, "authorization_pending")
	}
}

// codeOf finds a device code; mu is held.
func (is *issuer) codeOf(device string) *code {
	for _, c := range is.codes {
		if c.device == device {
			return c
		}
	}
	return nil
}
