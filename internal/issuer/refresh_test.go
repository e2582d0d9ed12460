package issuer_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/internal/issuer"
)

func TestReuseEndsTheSignIn(t *testing.T) {
	r := newRig(t)
	first := r.signIn()
	second := r.refresh(first.Refresh)
	third := r.refresh(second.Refresh)
	if third.Status != http.StatusOK || first.Refresh == second.Refresh || second.Refresh == third.Refresh {
		t.Fatalf("no rotation: %+v", third)
	}
	bystander := r.signIn()
	want(t, r.refresh(first.Refresh), 400, "invalid_grant")
	want(t, r.refresh(third.Refresh), 400, "invalid_grant") // the newest died with it
	if a := r.refresh(bystander.Refresh); a.Status != http.StatusOK {
		t.Errorf("another sign-in died too: %+v", a)
	}
	if s := r.Stats(); s.Reuses != 1 || s.Refreshes != 3 {
		t.Errorf("stats %+v", s)
	}
}

func TestRefreshRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *issuer.Options) { o.RefreshTTL = time.Hour })
		a := r.signIn()
		altered := []byte(a.Refresh)
		altered[30] ^= 1
		for name, token := range map[string]string{
			"made up": "made-up", "altered": string(altered), "padded": a.Refresh + "=", "doubled": a.Refresh + a.Refresh, "an access token": a.Access,
		} {
			t.Log(name)
			want(t, r.refresh(token), 400, "invalid_grant")
		}
		want(t, r.refresh(""), 400, "invalid_request")
		want(t, r.post("/token", "grant_type", "refresh_token", "client_id", "other", "refresh_token", a.Refresh), 400, "invalid_grant")

		time.Sleep(59 * time.Minute)
		a = r.refresh(a.Refresh) // none of the above cost it, and its hour begins anew
		if a.Status != http.StatusOK {
			t.Fatalf("refresh in time: %+v", a)
		}
		time.Sleep(59 * time.Minute)
		a = r.refresh(a.Refresh)
		if a.Status != http.StatusOK {
			t.Fatalf("refresh in its second hour: %+v", a)
		}
		time.Sleep(time.Hour)
		want(t, r.refresh(a.Refresh), 400, "invalid_grant")
	})
}

func TestRefreshTokensOfAnotherIssuer(t *testing.T) {
	want(t, newRig(t).refresh(newRig(t).signIn().Refresh), 400, "invalid_grant")
}

func TestOneRefreshOfManyWins(t *testing.T) {
	r := newRig(t)
	token := r.signIn().Refresh
	var wg sync.WaitGroup
	answers := make([]answer, 8)
	for n := range answers {
		wg.Go(func() { answers[n] = r.refresh(token) })
	}
	wg.Wait()
	won := 0
	for _, a := range answers {
		if a.Status == http.StatusOK {
			won++
		}
	}
	if s := r.Stats(); won != 1 || s.Refreshes != 1 || s.Reuses != 1 {
		t.Errorf("%d won, stats %+v", won, s)
	}
}

func TestRevocation(t *testing.T) {
	r := newRig(t)
	revoke := func(token string, pairs ...string) answer {
		return r.post("/revoke", append([]string{"client_id", "valet", "token", token}, pairs...)...)
	}
	byRefresh, byAccess, byOld := r.signIn(), r.signIn(), r.signIn()
	newer := r.refresh(byOld.Refresh)
	for name, token := range map[string]string{"refresh": byRefresh.Refresh, "access": byAccess.Access, "old refresh": byOld.Refresh} {
		t.Log(name)
		want(t, revoke(token, "token_type_hint", "whatever"), 200, "")
		want(t, revoke(token), 200, "") // again
	}
	for _, token := range []string{byRefresh.Refresh, byAccess.Refresh, newer.Refresh} {
		want(t, r.refresh(token), 400, "invalid_grant")
	}
	if n := r.Stats().Revocations; n != 3 {
		t.Errorf("%d revocations counted, want 3", n)
	}
	want(t, revoke("made-up"), 200, "")
	want(t, revoke(""), 400, "invalid_request")
	want(t, r.post("/revoke", "client_id", "nobody", "token", "x"), 401, "invalid_client")

	a := r.signIn("scope", "openid")
	want(t, r.post("/revoke", "client_id", "other", "token", a.Refresh), 400, "invalid_grant")
	want(t, revoke(a.ID), 200, "") // an id_token is nothing to revoke
	if got := r.refresh(a.Refresh); got.Status != http.StatusOK {
		t.Errorf("a revocation by another client worked: %+v", got)
	}
}

func TestRevokeSubject(t *testing.T) {
	r := newRig(t, func(o *issuer.Options) { o.Users = append(o.Users, issuer.User{Subject: "eve"}) })
	demo := r.signIn()
	d := r.device()
	if err := r.Approve(d.UserCode, "eve"); err != nil {
		t.Fatal(err)
	}
	eve := r.poll(d)
	if n := r.RevokeSubject("demo"); n != 1 {
		t.Errorf("%d sign-ins ended, want 1", n)
	}
	want(t, r.refresh(demo.Refresh), 400, "invalid_grant")
	if a := r.refresh(eve.Refresh); a.Status != http.StatusOK {
		t.Errorf("eve: %+v", a)
	}
	if _, claims, err := r.parse(eve.Access); err != nil || claims["roles"] != nil || claims["sub"] != "eve" {
		t.Errorf("eve's claims: %v %v", claims, err)
	}
}
