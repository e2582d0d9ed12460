package refresh

import (
	"fmt"
	"net/url"
	"strings"
)

// What a notification says of a sign-in: our own words, names, a code and an address, never an issuer's prose. A prompt
// that comes from nowhere is how people are tricked, so it says who asks.

func noticeTitle(account string) string { return "mcp-valet: sign in to " + account }

const notAsked = " If you did not just use it, do nothing."

// notice is the text about s, and tells whether it holds all that the person needs even if no window was opened.
func notice(server, account string, s SignIn) (text string, whole bool) {
	who := "The server " + server + " needs it. "
	byHand := "Run in a terminal: mcp-valet login " + account + "."
	host, address, code := hostOf(s.URI), plainAddress(s.URI), plainCode(s.UserCode)
	switch {
	case s.Opened && s.UserCode == "":
		text = fmt.Sprintf("Go on in the browser, at %s.", host)
	case s.Opened && code == "":
		text = fmt.Sprintf("Go on in the browser, at %s. If it asks for a code: %s", host, byHand)
	case s.Opened:
		text = fmt.Sprintf("Go on in the browser, at %s. The code is %s.", host, code)
	case code != "" && address != "":
		text, whole = fmt.Sprintf("Open %s and enter the code %s.", address, code), true
	default:
		text = byHand
	}
	return who + text + notAsked, whole
}

// Tellable is what of a sign-in that waits may be repeated to a model. The code is upper case letters, digits and dashes
// alone, 4 to 16 of them, else "". The address is one of at most 100 plain characters without a query, which could be a
// sentence, else "". Without a code the address only says where the sign-in is, and does not finish it: a person then
// needs the window, or a terminal.
func (s SignIn) Tellable() (address, code string) {
	if code = only(s.UserCode, tellableCode, 16); len(code) < 4 {
		code = ""
	}
	for _, page := range []string{s.URI, s.URIComplete} {
		page, _, _ = strings.Cut(page, "?")
		if address = only(page, tellableAddress, maxAddress); address != "" {
			return address, code
		}
	}
	return "", code
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

const (
	codeBytes    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
	addressBytes = codeBytes + "._~:/?=&%"
	maxAddress   = 100

	tellableCode    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	tellableAddress = codeBytes + "._~:/"
)

// plainCode is a code that is nothing but a code, and "" for any other.
func plainCode(code string) string { return only(code, codeBytes, 32) }

// plainAddress is an address that a person can type, and "" for any other.
func plainAddress(address string) string { return only(address, addressBytes, maxAddress) }

func only(s, allowed string, most int) string {
	if len(s) > most || strings.Trim(s, allowed) != "" {
		return ""
	}
	return s
}
