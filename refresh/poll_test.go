package refresh_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mcp-valet/refresh"
)

// The times between polls, for all that an issuer and a network can say.
func TestPollTimes(t *testing.T) {
	var (
		wait    = pending("authorization_pending")
		slow    = pending("slow_down")
		offline = canned{err: errors.New("network is down")}
		broken  = canned{status: 500, kind: "text/html", body: "<p>"}
		portal  = canned{status: 200, kind: "text/html", body: "<p>please log in to the hotel"}
		later   = func(status int, seconds string) canned {
			return canned{status: status, header: map[string]string{"Retry-After": seconds}}
		}
		slowTo = func(interval string) canned {
			return canned{status: 400, body: `{"error":"slow_down","interval":` + interval + `}`}
		}
		withCode = func(status int, code string) canned { return canned{status: status, body: `{"error":"` + code + `"}`} }
	)
	for _, test := range []struct {
		name     string
		interval string // of the device response; "" is 5
		answers  []canned
		want     []float64
		waiting  int
	}{
		{"interval given", "7", []canned{wait, tokenReply}, []float64{7.5, 15}, 0},
		{"interval as a string", `"7"`, []canned{wait, tokenReply}, []float64{7.5, 15}, 0},
		{"interval 0", "0", []canned{tokenReply}, []float64{5.5}, 0},
		{"interval null", "null", []canned{tokenReply}, []float64{5.5}, 0},
		{"interval negative", "-3", []canned{tokenReply}, []float64{5.5}, 0},
		{"interval a word", `"soon"`, []canned{tokenReply}, []float64{5.5}, 0},
		{"interval tiny", "0.001", []canned{tokenReply}, []float64{1.5}, 0},
		{"interval absurd", "86400", []canned{tokenReply}, []float64{60.5}, 0},
		{"interval overflowing", "1e300", []canned{tokenReply}, []float64{60.5}, 0},

		{"pending with 200", "", []canned{withCode(200, "authorization_pending"), tokenReply}, []float64{5.5, 11}, 0},
		{"pending with 428", "", []canned{withCode(428, "authorization_pending"), tokenReply}, []float64{5.5, 11}, 0},
		{"428 alone", "", []canned{{status: 428}, tokenReply}, []float64{5.5, 11}, 0},
		{"pending as a form", "", []canned{{status: 200, kind: asForm, body: "error=authorization_pending"}, tokenReply}, []float64{5.5, 11}, 0},

		{"slow_down", "", []canned{slow, wait, tokenReply}, []float64{5.5, 16, 26.5}, 0},
		{"slow_down twice", "", []canned{slow, slow, tokenReply}, []float64{5.5, 16, 31.5}, 0},
		{"slow_down with 200", "", []canned{withCode(200, "slow_down"), tokenReply}, []float64{5.5, 16}, 0},
		{"slow_down with an interval", "", []canned{slowTo("20"), wait, tokenReply}, []float64{5.5, 26, 46.5}, 0},
		{"slow_down with one as a string", "", []canned{slowTo(`"20"`), tokenReply}, []float64{5.5, 26}, 0},
		{"slow_down with a smaller one", "", []canned{slowTo("5"), tokenReply}, []float64{5.5, 16}, 0},
		{"slow_down with an absurd one", "", []canned{slowTo("1e9"), tokenReply}, []float64{5.5, 126}, 0},
		{"slow_down, 429", "", []canned{withCode(429, "slow_down"), tokenReply}, []float64{5.5, 16}, 0},
		{"429 alone", "", []canned{{status: 429}, wait, tokenReply}, []float64{5.5, 16, 26.5}, 0},
		{"429 with a web page", "", []canned{{status: 429, kind: "text/html", body: "<p>slow down"}, tokenReply}, []float64{5.5, 16}, 0},
		{"429 with another code", "", []canned{withCode(429, "too_many_requests"), tokenReply}, []float64{5.5, 16}, 0},
		{"429 with Retry-After", "", []canned{later(429, "30"), wait, tokenReply}, []float64{5.5, 36, 46.5}, 0},
		{"429 with a small Retry-After", "", []canned{later(429, "1"), tokenReply}, []float64{5.5, 16}, 0},
		{"429 with an absurd Retry-After", "", []canned{later(429, "999999"), tokenReply}, []float64{5.5, 306}, 0},

		{"network down", "", []canned{offline, offline, tokenReply}, []float64{5.5, 16, 36.5}, 2},
		{"network down, then up", "", []canned{offline, wait, wait, tokenReply}, []float64{5.5, 16, 21.5, 27}, 1},
		{"network down for minutes", "", []canned{offline, offline, offline, offline, offline, tokenReply},
			[]float64{5.5, 16, 36.5, 67, 97.5, 128}, 5},
		{"no answer", "", []canned{{hang: true}, tokenReply}, []float64{5.5, 31}, 1},
		{"500", "", []canned{broken, broken, tokenReply}, []float64{5.5, 16, 36.5}, 2},
		{"503 with Retry-After", "", []canned{later(503, "40"), tokenReply}, []float64{5.5, 46}, 1},
		{"server_error", "", []canned{withCode(400, "server_error"), tokenReply}, []float64{5.5, 16}, 1},
		{"captive portal", "", []canned{portal, portal, tokenReply}, []float64{5.5, 16, 36.5}, 2},
		{"captive portal's redirect", "", []canned{{status: 302, header: map[string]string{"Location": "https://hotel.test/"}}, tokenReply}, []float64{5.5, 16}, 1},
		{"half an answer", "", []canned{{status: 200, body: `{"access_token":"A`}, tokenReply}, []float64{5.5, 16}, 1},
		{"a firewall", "", []canned{{status: 403}, {status: 403}, {status: 403}, wait, {status: 404}, {status: 400}, tokenReply},
			[]float64{5.5, 16, 36.5, 67, 72.5, 83, 103.5}, 5},
		{"network down while slowed down", "", []canned{slow, offline, wait, tokenReply}, []float64{5.5, 16, 36.5, 47}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			code := codeReply
			if test.interval != "" {
				code.body = strings.Replace(code.body, `"interval":5`, `"interval":`+test.interval, 1)
			}
			person := &shown{}
			cred, times, err := polled(t, account(), forms(document(), []canned{code}, test.answers), person)
			if err != nil || cred == nil {
				t.Fatal(err)
			}
			if !slices.Equal(times, test.want) {
				t.Errorf("polled at %v, want %v", times, test.want)
			}
			if len(person.waiting) != test.waiting || len(person.codes) != 1 {
				t.Errorf("the person saw %v", person)
			}
		})
	}
}

func TestPollEnds(t *testing.T) {
	withCode := func(status int, code string) []canned {
		return []canned{{status: status, body: `{"error":"` + code + `"}`}}
	}
	for _, test := range []struct {
		name    string
		answers []canned
		want    error
		polls   int
		says    string
	}{
		{"denied", withCode(400, "access_denied"), refresh.ErrDenied, 1, "access_denied"},
		{"denied with 200", withCode(200, "access_denied"), refresh.ErrDenied, 1, "access_denied"},
		{"denied with 500", withCode(500, "access_denied"), refresh.ErrDenied, 1, "access_denied"},
		{"denied, Microsoft", withCode(400, "authorization_declined"), refresh.ErrDenied, 1, "authorization_declined"},
		{"another client", withCode(401, "invalid_client"), nil, 1, "invalid_client"},
		{"another code", withCode(400, "incorrect_device_code"), nil, 1, "incorrect_device_code"},
		{"not for this client", withCode(400, "unauthorized_client"), nil, 1, "unauthorized_client"},
		{"used up", withCode(400, "invalid_grant"), nil, 1, "invalid_grant"},
		{"refused again and again", []canned{{status: 403, kind: "text/html", body: "<p>"}}, nil, 5, "status 403"},
		{"not there", []canned{{status: 404}}, nil, 5, "status 404"},
		{"an error that is none", withCode(200, "Something Is Wrong"), nil, 5, "status 200"},
		{"no Bearer token", []canned{{status: 200, body: `{"access_token":"SECRET","token_type":"mac"}`}}, refresh.ErrToken, 1, "Bearer"},
		{"no token", []canned{{status: 200, body: `{}`}}, refresh.ErrToken, 1, "no access token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			person := &shown{}
			cred, times, err := polled(t, account(), forms(document(), []canned{codeReply}, test.answers), person)
			if cred != nil || err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, %v", cred, err)
			}
			if test.want != nil && !errors.Is(err, test.want) || test.want == nil && !refusal(err) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if len(times) != test.polls || len(person.codes) != 1 {
				t.Errorf("%d polls, %d codes", len(times), len(person.codes))
			}
		})
	}
}

// refusal: an *OAuthError and nothing a caller would act on.
func refusal(err error) bool {
	var refused *refresh.OAuthError
	return errors.As(err, &refused) && !errors.Is(err, refresh.ErrDenied) && !errors.Is(err, refresh.ErrUnreachable) &&
		!errors.Is(err, refresh.ErrCodeExpired)
}
