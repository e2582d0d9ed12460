package person_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mcp-valet/internal/person"
)

func TestCheckURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://login.example.com/device?user_code=AB-CD&x=%20#f": "https://login.example.com/device?user_code=AB-CD&x=%20#f",
		"HTTPS://Login.Example.com:8443":                           "HTTPS://Login.Example.com:8443",
		"http://127.0.0.1:1234/cb":                                 "http://127.0.0.1:1234/cb",
		"http://127.8.8.8/":                                        "http://127.8.8.8/",
		"http://localhost/":                                        "http://localhost/",
		"http://[::1]:80/":                                         "http://[::1]:80/",
		"https://h/$(id);'a'!*":                                    "https://h/%24%28id%29%3B%27a%27%21%2A",
		"https://h/" + strings.Repeat("a", 2038):                   "https://h/" + strings.Repeat("a", 2038),
	} {
		if got, err := person.CheckURL(raw); got != want || err != nil {
			t.Errorf("%q: %q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{
		"", "login.example.com", "/device", "//h/", "https:h", "https:///x", "https://:443/", "https://",
		"http://login.example.com/", "http://10.0.0.1/", "http://localhost.evil.com/", "http://127.0.0.1.evil.com/", "http://[fe80::1%25lo]/", "http://0.0.0.0/",
		"javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ms-settings:x", "vscode://x/y", "-a", "--new-window",
		"https://user@h/", "https://user:pass@h/", "https://@h/", "https://h@evil.com/",
		"https://h/a b", "https://h/\n", "https://h/\r\nx", "https://h/\x00", "https://h/\x1b[31m", "https://h/ä", "https://hä/", "https://h/\u202e", "https://h/\"", `https://h\@evil.com/`, "https://h/`id`", "https://h/<", "https://h/|x", "https://h/^", "https://h/{}",
		"https://h$x/", "https://h;x/", "https://h'x/", "https://h%41/", "https://h&calc/", "https://h/%zz",
		"https://h/" + strings.Repeat("a", 2039),
	} {
		if got, err := person.CheckURL(raw); !errors.Is(err, person.ErrURL) || got != "" {
			t.Errorf("%q: %q, %v", raw, got, err)
		} else if len(raw) > 10 && strings.Contains(err.Error(), raw) {
			t.Errorf("repeats the URL: %v", err)
		}
	}
}

func TestOpenBrowserRefuses(t *testing.T) {
	if err := person.OpenBrowser(t.Context(), "file:///etc/passwd"); !errors.Is(err, person.ErrURL) {
		t.Errorf("got %v", err)
	}
}

func init() {
	roles["opener"] = func() int {
		report := fmt.Sprintf("args %q null %v %v\n%s", os.Args[1:], isNull(os.Stdin), isNull(os.Stdout), strings.Join(os.Environ(), "\n"))
		if os.WriteFile(os.Getenv("REPORT"), []byte(report), 0o600) != nil {
			return 3
		}
		return 0
	}
	roles["fails"] = func() int { return 4 }
}

// isNull tells whether f is the system's null device, whatever that is on this machine.
func isNull(f *os.File) bool {
	null, err := os.Stat(os.DevNull)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(info, null)
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func TestOpenerIsStartedPlainly(t *testing.T) {
	report := t.TempDir() + "/report"
	t.Setenv("PERSON_TEST_ROLE", "opener")
	t.Setenv("REPORT", report)
	t.Setenv("MCP_VALET_STORE_KEY", "canary-1")
	t.Setenv("MCP_AUTH_TOKEN", "canary-2")
	const address = "https://login.example.com/device?a=1&b=%20"
	if err := person.StartOpener(t.Context(), []string{self(t), "first", address}, time.Minute); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("args %q null true true\n", []string{"first", address}); !strings.HasPrefix(string(b), want) {
		t.Errorf("got %s\nwant %s", b, want)
	}
	if strings.Contains(string(b), "canary") {
		t.Error("the browser gets our secrets")
	}
}

func TestOpenerFails(t *testing.T) {
	t.Setenv("PERSON_TEST_ROLE", "fails")
	if err := person.StartOpener(t.Context(), []string{self(t)}, time.Minute); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("got %v", err)
	}
	if err := person.StartOpener(t.Context(), []string{t.TempDir() + "/none"}, time.Minute); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
