package install

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// DetectSecret tells whether the value of a variable (or of an option) looks like a secret, and of what kind, by its
// name and by its form. It errs towards secrets: one too many works all the same, one too few stays in plain text.
func DetectSecret(name, value string) (kind string, found bool) {
	value = strings.TrimSpace(value)
	if value == "" || placeholder.matches(value) {
		return "", false
	}
	if kind := knownForm(value); kind != "" {
		return kind, true
	}
	if u, ok := address(value); ok {
		return secretInURL(u)
	}
	switch named := kindOfName(name); {
	case named == "":
	case named == "password" && !aboutSecrets.matches(name) && !slices.Contains(modes, strings.ToLower(value)):
		return named, true // be it a number, or like a path
	case !harmless(name, value):
		return named, true
	}
	if random(value) {
		return "random text", true
	}
	return "", false
}

// DetectArgument judges an argument by itself and by the option that it belongs to.
func DetectArgument(args []string, i int) (kind string, found bool) {
	name, value, cut := strings.Cut(args[i], "=")
	switch {
	case strings.HasPrefix(name, "-") && cut:
		return DetectSecret(name, value)
	case strings.HasPrefix(name, "-"):
		return "", false
	case behindOption(args, i):
		return DetectSecret(args[i-1], args[i])
	}
	return DetectSecret("", args[i])
}

// WhichArgument says how [ArgumentSecret] is told of an argument: by its option, where that says which one it is.
func WhichArgument(args []string, i int) string {
	which := ""
	if name, _, cut := strings.Cut(args[i], "="); cut && strings.HasPrefix(name, "-") {
		which = name
	} else if behindOption(args, i) {
		which = args[i-1]
	}
	if at, _, err := ArgumentSecret(args, which, ""); which == "" || err != nil || at.Argument != i+1 {
		return strconv.Itoa(i + 1)
	}
	return which
}

// placeholder is what stands for a value that is filled in elsewhere.
var placeholder = pattern{expr: `^(\$\{[^{}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|%[A-Za-z_][A-Za-z0-9_]*%|\{\{[^{}]*\}\}|<[^<>]*>)$`}

// forms are the tokens that say what they are.
var forms = []struct {
	kind string
	is   *pattern
}{
	{"GitHub token", &pattern{expr: `^(gh[opusr]_|github_pat_)[A-Za-z0-9_]{16,}`}},
	{"GitLab token", &pattern{expr: `^gl[a-z]{2,4}-[A-Za-z0-9_-]{16,}`}},
	{"API key", &pattern{expr: `^(sk|rk)[-_][A-Za-z0-9_-]{16,}`}},
	{"Slack token", &pattern{expr: `^xox[a-z](\.xox[a-z])?-[A-Za-z0-9-]{8,}|^xapp-[A-Za-z0-9-]{8,}`}},
	{"AWS access key", &pattern{expr: `^(AKIA|ASIA)[A-Z0-9]{16}$`}},
	{"Google API key", &pattern{expr: `^AIza[A-Za-z0-9_-]{30,}$`}},
	{"Google token", &pattern{expr: `^(ya29\.|GOCSPX-)[A-Za-z0-9_-]{16,}`}},
	{"npm token", &pattern{expr: `^npm_[A-Za-z0-9]{20,}$`}},
	{"PyPI token", &pattern{expr: `^pypi-[A-Za-z0-9_-]{20,}$`}},
	{"Hugging Face token", &pattern{expr: `^hf_[A-Za-z0-9]{20,}$`}},
	{"SendGrid key", &pattern{expr: `^SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}$`}},
	{"API key", &pattern{expr: `^(ntn|secret|lin_api|lin_oauth|dop_v1|figd|shpat|shpss|tvly|pplx|gsk|fc|ATATT3x|dckr_pat|AGE-SECRET-KEY)[-_A-Za-z0-9][A-Za-z0-9_=-]{16,}$`}},
	{"JWT", &pattern{expr: `^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$`}},
	{"private key", &pattern{expr: `^-----BEGIN [A-Z ]*PRIVATE KEY`}},
	{"authorization header", &pattern{expr: `(?i)^(authorization: *)?(bearer|basic|token) +[A-Za-z0-9._~+/=-]{8,}$`}},
}

func knownForm(value string) string {
	for _, f := range forms {
		if f.is.matches(value) {
			return f.kind
		}
	}
	return ""
}

// address reads a URL; a Windows path with its drive is none.
func address(value string) (*url.URL, bool) {
	if !strings.Contains(value, "://") {
		return nil, false
	}
	u, err := url.Parse(value)
	return u, err == nil && u.Scheme != "" && !strings.ContainsAny(value, " \n")
}

// secretInURL looks for a password, and for parameters that are named like a secret.
func secretInURL(u *url.URL) (kind string, found bool) {
	if password, has := u.User.Password(); has && password != "" && !placeholder.matches(password) {
		return "password in an address", true
	}
	if knownForm(u.User.Username()) != "" {
		return "token in an address", true
	}
	for name, values := range u.Query() {
		if kindOfName(name) != "" && slices.ContainsFunc(values, func(v string) bool { return !harmless("", v) }) {
			return "key in an address", true
		}
	}
	return "", false
}

// nameKinds says what the words of a variable's name speak of.
var nameKinds = map[string]string{
	"PASSWORD": "password", "PASSWD": "password", "PASSPHRASE": "password", "PASS": "password", "PW": "password", "PASSCODE": "password",
	"SECRET": "secret", "SECRETS": "secret", "CREDENTIAL": "secret", "CREDENTIALS": "secret", "CREDS": "secret", "CRED": "secret", "COOKIE": "secret", "COOKIES": "secret",
	"TOKEN": "token", "TOKENS": "token", "PAT": "token", "JWT": "token", "BEARER": "token", "AUTH": "token", "AUTHORIZATION": "token",
	"KEY": "key", "KEYS": "key", "APIKEY": "key", "APIKEYS": "key", "ACCESSKEY": "key", "PRIVATEKEY": "key", "SECRETKEY": "key",
}

// nameParts are found also where names are written without any mark between their words.
var nameParts = []struct{ part, kind string }{
	{"PASSWORD", "password"}, {"PASSWD", "password"}, {"SECRET", "secret"}, {"CREDENTIAL", "secret"}, {"APIKEY", "key"}, {"TOKEN", "token"},
}

// notParts are words that hold one of nameParts and mean something else.
var notParts = pattern{expr: `TOKENIZ|SECRETAR`}

var wordBorder = pattern{expr: `([a-z0-9])([A-Z])`}

// kindOfName judges a name like GITHUB_TOKEN, apiKey or --db-password; "" for a name that says nothing.
func kindOfName(name string) string {
	name = strings.ToUpper(wordBorder.compiled().ReplaceAllString(name, "${1}_${2}"))
	for _, word := range strings.FieldsFunc(name, func(c rune) bool { return !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') }) {
		if kind := nameKinds[word]; kind != "" {
			return kind
		}
		for _, p := range nameParts {
			if strings.Contains(word, p.part) && !notParts.matches(word) {
				return p.kind
			}
		}
	}
	return ""
}

// aboutSecrets are the last words of names that speak of where a secret is, or how it is used.
var aboutSecrets = pattern{expr: `(?i)[_-](FILE|PATH|DIR|URL|URI|ENDPOINT|HOST|TYPE|METHOD|MODE|SCHEME|NAME|ID|ENABLED|DISABLED|TTL|TIMEOUT|EXPIRY|LIMIT|COUNT|SIZE|ALGORITHM|PREFIX|HEADER)$`}

// modes are values that choose something and keep nothing secret.
var modes = []string{"true", "false", "yes", "no", "on", "off", "none", "null", "basic", "bearer", "oauth", "oauth2", "oidc", "token", "default", "auto", "enabled", "disabled", "optional", "required"}

// harmless tells whether a value is none that anybody would hide, for all that its name says.
func harmless(name, value string) bool {
	_, notNumber := strconv.ParseFloat(value, 64)
	return notNumber == nil || slices.Contains(modes, strings.ToLower(value)) || isPath(value) || aboutSecrets.matches(name) ||
		placeholder.matches(value) || strings.HasPrefix(value, "keyring:")
}

var pathForm = pattern{expr: `^(~?/|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\)`}

func isPath(value string) bool { return pathForm.matches(value) }

var (
	uuid     = pattern{expr: `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`}
	unbroken = pattern{expr: `^[A-Za-z0-9+/_=-]{24,}$`}
	hexDigit = pattern{expr: `^([0-9a-f]{32,}|[0-9A-F]{32,})$`}
)

// random tells whether a value was drawn by a machine: long, unbroken, and with no letter used much more than others.
func random(value string) bool {
	if !unbroken.matches(value) || isPath(value) || uuid.matches(value) {
		return false
	}
	digits := strings.ContainsAny(value, "0123456789")
	if hexDigit.matches(value) {
		return digits && strings.ContainsAny(value, "abcdefABCDEF") && entropy(value) > 3
	}
	return digits && strings.ToUpper(value) != value && strings.ToLower(value) != value && entropy(value) > 3.9
}

// entropy is Shannon's, in bits a character.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}
