package person

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"
)

var (
	// ErrNoDisplay says that no browser window could be seen from where we run.
	ErrNoDisplay = errors.New("no display to open a browser on")
	// ErrNoBrowser says that there is no program to open a browser with.
	ErrNoBrowser = errors.New("no program to open a browser with")
	// ErrURL says that a URL is not one that a browser should be sent to.
	ErrURL = errors.New("not a URL to open")
)

const (
	maxURL      = 2048            // bytes
	openingTime = 5 * time.Second // then the opener has become the browser itself
)

// OpenBrowser opens a URL, which may have come from outside, in the person's browser. It starts no shell, and only
// https, or http to this machine, is opened; anything else is [ErrURL]. It returns when the program that opens the
// browser has done its work, or is still at work after 5 seconds; ctx ends the wait and not that program.
func OpenBrowser(ctx context.Context, rawURL string) error {
	address, err := checkURL(rawURL)
	if err != nil {
		return err
	}
	argv, err := opener(os.Getenv)
	if err != nil {
		return err
	}
	return start(ctx, append(argv, address), openingTime)
}

// checkURL refuses what could be more than an address to whatever program gets it: another scheme, a password,
// characters outside of RFC 3986. It gives the URL with those characters written as %XX that mean something to a shell,
// because some openers are shell scripts.
func checkURL(raw string) (string, error) {
	if len(raw) > maxURL {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrURL, maxURL)
	}
	if strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", c) }) {
		return "", fmt.Errorf("%w: it has characters that no URL has", ErrURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("%w: it cannot be parsed", ErrURL) // url's error would repeat it
	}
	switch {
	case u.Opaque != "" || u.Hostname() == "" || strings.ContainsFunc(u.Host, notInHost):
		return "", fmt.Errorf("%w: it names no host", ErrURL)
	case u.User != nil:
		return "", fmt.Errorf("%w: it holds a user name", ErrURL)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return "", fmt.Errorf("%w: neither https nor http to this machine", ErrURL)
	}
	return strings.NewReplacer("'", "%27", "(", "%28", ")", "%29", ";", "%3B", "!", "%21", "*", "%2A", "$", "%24").Replace(raw), nil
}

func notInHost(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:[]", c)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Zone() == "" && addr.IsLoopback()
}

// start runs the opener. It gets none of our variables, one of which may be a key, and no terminal. The browser may be
// its child, or itself: so it is never killed, and a signal to our process group does not reach it.
func start(ctx context.Context, argv []string, wait time.Duration) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = ForeignEnv(os.Environ())
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("opening a browser: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // ends with the opener, which is so never left a zombie
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("opening a browser: %w", err)
		}
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ForeignEnv is an environment for programs that are none of MCP: less every variable that may hold a secret of it.
func ForeignEnv(environ []string) []string {
	var env []string
	for _, kv := range environ {
		if !strings.HasPrefix(strings.ToUpper(kv), "MCP_") {
			env = append(env, kv)
		}
	}
	return env
}
