package refresh_test

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"mcp-valet/refresh"
)

func TestCheckURL(t *testing.T) {
	for _, raw := range []string{
		"https://idp.test",
		"https://idp.test/",
		"https://idp.test:8443/realms/r/?x=y&z=%20a",
		"HTTPS://IDP.TEST/a",
		"https://my_idp/x",
		"https://10.1.2.3/",
		"https://[2001:db8::1]:8443/",
		"http://127.0.0.1:8080/x",
		"http://127.9.9.9/",
		"http://[::1]:1/",
		"http://localhost:3000",
		"http://LOCALHOST",
	} {
		if _, err := refresh.CheckURL(raw); err != nil {
			t.Errorf("CheckURL(%q) = %v, want it accepted", raw, err)
		}
	}
	for name, raw := range map[string]string{
		"empty":                     "",
		"relative":                  "/device",
		"no scheme":                 "//idp.test/device",
		"bare name":                 "idp.test",
		"http":                      "http://idp.test/",
		"http, private":             "http://192.168.1.1/",
		"http, looks like loopback": "http://127.0.0.1.idp.test/",
		"http, localhost suffix":    "http://localhost.idp.test/",
		"http, short loopback":      "http://127.1/",
		"javascript":                "javascript:alert(1)",
		"javascript, with slashes":  "javascript://idp.test/%0aalert(1)",
		"data":                      "data:text/html,x",
		"file":                      "file:///etc/passwd",
		"opaque":                    "https:idp.test",
		"no host":                   "https:///x",
		"only a port":               "https://:443/",
		"userinfo":                  "https://good.test@evil.test/",
		"password":                  "https://a:b@idp.test/",
		"empty userinfo":            "https://@idp.test/",
		"fragment":                  "https://idp.test/#x",
		"empty fragment":            "https://idp.test/#",
		"newline":                   "https://idp.test/\nx",
		"nul":                       "https://idp.test/\x00",
		"escape":                    "https://idp.test/\x1b[2J",
		"delete":                    "https://idp.test/\x7f",
		"escaped newline":           "https://idp.test/%0d%0a",
		"escaped nul in the query":  "https://idp.test/?a=%00",
		"bad escape in the query":   "https://idp.test/?a=%zz",
		"bad escape in the path":    "https://idp.test/%zz",
		"space":                     "https://idp.test/a b",
		"quote":                     `https://idp.test/"&calc`,
		"backslash":                 `https://idp.test\@evil.test/`,
		"caret":                     "https://idp.test/^",
		"unicode":                   "https://idp.tést/",
		"unicode in the path":       "https://idp.test/\u202e",
		"escaped host":              "https://idp%2etest/",
		"empty label":               "https://idp..test/",
		"trailing dot":              "https://idp.test./",
		"number as host":            "https://2130706433/",
		"hex as host":               "https://0x7f000001/",
		"octal":                     "https://0177.0.0.1/",
		"number as last label":      "https://idp.1/",
		"zone":                      "https://[fe80::1%25eth0]/",
		"port 0":                    "https://idp.test:0/",
		"port too large":            "https://idp.test:65536/",
		"port missing":              "https://idp.test:/",
		"port a word":               "https://idp.test:https/",
		"label too long":            "https://" + strings.Repeat("a", 64) + ".test/",
		"host too long":             "https://" + strings.Repeat("abcdefg.", 40) + "test/",
		"too long":                  "https://idp.test/" + strings.Repeat("a", 2048),
	} {
		_, err := refresh.CheckURL(raw)
		if !errors.Is(err, refresh.ErrInsecureURL) {
			t.Errorf("%s: CheckURL(%q) = %v, want ErrInsecureURL", name, raw, err)
		} else if len(raw) > 8 && strings.Contains(err.Error(), raw) {
			t.Errorf("%s: the error repeats the URL: %v", name, err)
		}
	}
}

func TestCheckEndpoint(t *testing.T) {
	for _, test := range []struct {
		issuer, endpoint string
		ok               bool
	}{
		{"https://idp.test", "https://idp.test/token", true},
		{"https://accounts.google.com", "https://oauth2.googleapis.com/token", true},
		{"https://10.0.0.1", "https://10.0.0.1:8443/token", true},
		{"http://127.0.0.1:9100", "http://localhost:9100/token", true},
		{"http://localhost:9100", "https://idp.test/token", true},

		{"https://idp.test", "http://idp.test/token", false},
		{"https://idp.test", "http://127.0.0.1/token", false},
		{"https://idp.test", "http://localhost:8080/token", false},
		{"https://idp.test", "https://localhost/token", false},
		{"https://idp.test", "https://[::1]/token", false},
		{"https://idp.test", "https://[::ffff:127.0.0.1]/token", false},
		{"https://idp.test", "https://192.168.0.1/token", false},
		{"https://idp.test", "https://[fd00::1]/token", false},
		{"https://idp.test", "https://169.254.169.254/latest/meta-data", false},
		{"https://idp.test", "https://0.0.0.0/token", false},
		{"http://127.0.0.1:9100", "http://idp.test/token", false},
	} {
		err := refresh.CheckEndpoint(test.issuer, test.endpoint)
		if (err == nil) != test.ok {
			t.Errorf("issuer %s, endpoint %s: %v, want accepted: %v", test.issuer, test.endpoint, err, test.ok)
		}
	}
}

// FuzzCheckURL holds the law of accepted URLs: however they are read again, they
// lead to https, or to http on this machine, and hide nothing.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://idp.test/a?b=c", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost", "https://a@b/",
		"https://idp.test/%00", "javascript:alert(1)", "https://[::ffff:127.0.0.1%25x]/", "http://127.1", "https://x:1/#",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		accepted, err := refresh.CheckURL(raw)
		if err != nil {
			if !errors.Is(err, refresh.ErrInsecureURL) {
				t.Fatalf("CheckURL(%q): %v", raw, err)
			}
			return
		}
		for _, text := range []string{raw, accepted.String()} {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatalf("accepted %q cannot be parsed again: %v", text, err)
			}
			switch {
			case u.Scheme == "https":
			case u.Scheme == "http" && local(u.Hostname()):
			default:
				t.Fatalf("accepted %q", text)
			}
			if u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
				t.Fatalf("accepted %q, which hides something", text)
			}
			plain, err := url.QueryUnescape(u.RawQuery)
			if err != nil || strings.ContainsFunc(text+u.Path+plain, control) || len(text) > 2*2048 {
				t.Fatalf("accepted %q, which holds control characters", text)
			}
		}
	})
}

func local(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }
