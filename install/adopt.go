package install

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"

	"mcp-valet/keyring"
)

// Adopted is one secret that install took out of a client's entry. It says where that stood, never what it was.
type Adopted struct {
	Variable  string `json:"variable"`            // environment variable; also its key in the keychain
	Argument  int    `json:"argument,omitempty"`  // number of the argument that it stood in, from 1; 0: it stood in "env"
	Option    bool   `json:"option,omitempty"`    // the argument before it names it, and goes with it
	Prefix    string `json:"prefix,omitempty"`    // what stood before it in the argument: "--api-key="
	AsWritten bool   `json:"asWritten,omitempty"` // it was written with other escapes than ours; the keychain has its text, too
	// Stays says that it is in plain text all the same, in our config or the client's: it was copied to the keychain so that
	// no record holds it. Variable is then no variable.
	Stays  bool   `json:"stays,omitempty"`
	Member string `json:"member,omitempty"` // JSON Pointer (RFC 6901) to where it stood, if that is no argument, nor the variable of its name
}

// Kept is what the keychain has of an adopted secret.
type Kept struct {
	Value     keyring.Secret
	AsWritten keyring.Secret // the JSON string as it stood in the file, where that is not how we would write it
}

// Reference is what stands for a secret outside of the keychain.
func Reference(server, variable string) string { return "keyring://" + server + "/" + variable }

// LiteralKey is the key in the keychain of a secret's text as it was written.
func LiteralKey(variable string) string { return variable + ".as-written" }

// Literal gives the text of the JSON string that a secret stands in, and whether it differs from what we would write.
func Literal(entry []byte, a Adopted) (literal string, odd bool) {
	v, err := a.find(entry)
	if err != nil {
		return "", false
	}
	literal = string(entry[v.StartOffset:v.EndOffset])
	return literal, literal != string(encode(textOf(v)))
}

// Hide puts references in place of secrets: what it gives may be kept anywhere.
func Hide(entry []byte, server string, secrets []Adopted) ([]byte, error) {
	return rewrite(entry, secrets, func(a Adopted) (string, bool) {
		return string(encode(a.Prefix + Reference(server, a.Variable))), true
	})
}

// Mask gives an entry for a person to look at: nobody sees a secret in it.
func Mask(entry []byte, secrets []Adopted) ([]byte, error) {
	return rewrite(entry, secrets, func(Adopted) (string, bool) { return `"(not shown)"`, true })
}

// Fill puts secrets back where Hide had taken them out, byte for byte as they were if they are what they were. One that
// kept lacks is left out of the entry.
func Fill(entry []byte, secrets []Adopted, kept map[string]Kept) ([]byte, error) {
	return rewrite(entry, secrets, func(a Adopted) (string, bool) {
		k, ok := kept[a.Variable]
		if !ok {
			return "", false
		}
		return k.text(a.Prefix), true
	})
}

// Without leaves secrets out of an entry, less those that stay.
func Without(entry []byte, secrets []Adopted) ([]byte, error) {
	return Fill(entry, Moving(secrets), nil)
}

// Moving are the secrets that leave the entry.
func Moving(secrets []Adopted) []Adopted {
	return slices.DeleteFunc(slices.Clone(secrets), func(a Adopted) bool { return a.Stays })
}

// Staying are the secrets that stay in an entry, as they are numbered once the others have left it.
func Staying(secrets []Adopted) (staying []Adopted) {
	gone := leaving(secrets)
	for _, a := range secrets {
		if !a.Stays {
			continue
		}
		number := a.Argument
		for n := range number {
			if gone[n] {
				a.Argument--
			}
		}
		staying = append(staying, a)
	}
	return staying
}

// Former gives the number that an argument of the entry had before the secrets left it.
func Former(secrets []Adopted, number int) int {
	gone := leaving(secrets)
	for n := 1; n <= number; n++ {
		if gone[n] {
			number++
		}
	}
	return number
}

// leaving are the numbers of the arguments that leave an entry.
func leaving(secrets []Adopted) map[int]bool {
	gone := map[int]bool{}
	for _, a := range Moving(secrets) {
		if a.Argument == 0 {
			continue
		}
		gone[a.Argument] = true
		if a.Option {
			gone[a.Argument-1] = true
		}
	}
	return gone
}

// HideMembers is Hide for those secrets that are neither arguments nor variables, as far as an entry has them.
func HideMembers(entry []byte, server string, secrets []Adopted) []byte {
	for _, a := range secrets {
		if a.Member == "" {
			continue
		}
		if hidden, err := Hide(entry, server, []Adopted{a}); err == nil {
			entry = hidden
		}
	}
	return entry
}

// text is the JSON string that holds the secret. Its text as written counts only while it says the same: the secret may
// have been replaced in the keychain since.
func (k Kept) text(prefix string) string {
	value, written := prefix+k.Value.Reveal(), k.AsWritten.Reveal()
	if v, err := hujson.Parse([]byte(written)); err == nil && isText(v) && textOf(v) == value {
		return written
	}
	return string(encode(value))
}

// rewrite replaces the JSON strings that secrets stand in by what by gives; those that it gives nothing for are taken out
// afterwards, the last argument first, so that the numbers of the others stay true.
func rewrite(entry []byte, secrets []Adopted, by func(Adopted) (string, bool)) ([]byte, error) {
	var gone []Adopted
	for _, a := range secrets {
		text, ok := by(a)
		if !ok {
			gone = append(gone, a)
			continue
		}
		v, err := a.find(entry)
		if err != nil {
			return nil, err
		}
		entry = slices.Concat(entry[:v.StartOffset], []byte(text), entry[v.EndOffset:])
	}
	slices.SortFunc(gone, func(x, y Adopted) int { return y.Argument - x.Argument })
	for _, a := range gone {
		var err error
		if entry, err = a.takeOut(entry); err != nil {
			return nil, err
		}
	}
	return entry, nil
}

// find gives the value that a secret stands in.
func (a Adopted) find(entry []byte) (hujson.Value, error) {
	if a.Member != "" {
		return a.findMember(entry)
	}
	items, i, err := a.among(entry)
	if err != nil {
		return hujson.Value{}, err
	}
	return items.values[i], nil
}

func (a Adopted) findMember(entry []byte) (hujson.Value, error) {
	root, err := hujson.Parse(entry)
	if err == nil {
		if v := root.Find(a.Member); v != nil && isText(*v) {
			return *v, nil
		}
	}
	return hujson.Value{}, fmt.Errorf("the entry has no text in %q", a.Member)
}

// TextAt gives the text that a JSON Pointer leads to, or "".
func TextAt(entry []byte, pointer string) string {
	v, err := Adopted{Member: pointer}.findMember(entry)
	if err != nil {
		return ""
	}
	return textOf(v)
}

// items are the members of "env" or the elements of "args".
type items struct {
	start, end int            // offsets inside of the brackets
	starts     []int          // where each item begins
	values     []hujson.Value // its value, with which it ends
}

// among gives the items that a secret is one of, and which one.
func (a Adopted) among(entry []byte) (items, int, error) {
	key := "env"
	if a.Argument > 0 {
		key = "args"
	}
	missing := fmt.Errorf("the entry has no %s in %q", a, key)
	v, err := hujson.Parse(entry)
	obj, ok := v.Value.(*hujson.Object)
	if err != nil || !ok {
		return items{}, 0, missing
	}
	m, _ := member(obj, key)
	in := items{start: m.Value.StartOffset + 1, end: m.Value.EndOffset - 1}
	at := a.Argument - 1
	switch box := m.Value.Value.(type) {
	case *hujson.Object:
		for i, m := range box.Members {
			in.starts, in.values = append(in.starts, m.Name.StartOffset), append(in.values, m.Value)
			if textOf(m.Name) == a.Variable && a.Argument == 0 {
				at = i
			}
		}
	case *hujson.Array:
		for _, e := range box.Elements {
			in.starts, in.values = append(in.starts, e.StartOffset), append(in.values, e)
		}
	}
	if at < 0 || at >= len(in.values) || !isText(in.values[at]) {
		return items{}, 0, missing
	}
	return in, at, nil
}

// String names the secret to a person.
func (a Adopted) String() string {
	switch {
	case a.Argument > 0:
		return fmt.Sprintf("argument %d", a.Argument)
	case a.Member != "":
		return fmt.Sprintf("%+q", a.Member)
	}
	return a.Variable
}

// takeOut leaves the secret out of an entry, and the option that names it.
func (a Adopted) takeOut(entry []byte) ([]byte, error) {
	if a.Member != "" { // it is not ours to take a key away that only the client knows
		v, err := a.findMember(entry)
		if err != nil {
			return nil, err
		}
		return slices.Concat(entry[:v.StartOffset], []byte(`""`), entry[v.EndOffset:]), nil
	}
	in, i, err := a.among(entry)
	if err != nil {
		return nil, err
	}
	entry = slices.Concat(entry[:in.from(i)], entry[in.to(i):])
	if !a.Option || i == 0 {
		return entry, nil
	}
	return Adopted{Argument: i}.takeOut(entry)
}

// from and to span an item with the comma that goes with it.
func (in items) from(i int) int {
	switch {
	case i > 0:
		return in.values[i-1].EndOffset
	case len(in.values) > 1:
		return in.starts[i]
	}
	return in.start
}

func (in items) to(i int) int {
	switch {
	case i > 0:
		return in.values[i].EndOffset
	case len(in.values) > 1:
		return in.starts[1]
	}
	return in.end
}

// Moved gives the arguments without those that hold adopted secrets.
func Moved(args []string, secrets []Adopted) []string {
	gone := leaving(secrets)
	var left []string
	for i, arg := range args {
		if !gone[i+1] {
			left = append(left, arg)
		}
	}
	return left
}

// ArgumentSecret finds the secret that a person means by "2" (the second argument) or "--api-key" (what that option says,
// be it behind "=" or the next argument), and its value.
func ArgumentSecret(args []string, which, variable string) (Adopted, string, error) {
	for i, arg := range args {
		name, value, cut := strings.Cut(arg, "=")
		number := fmt.Sprint(i+1) == which
		switch option := strings.HasPrefix(which, "-") && name == which; {
		case (number && strings.HasPrefix(arg, "-") || option) && cut:
			return Adopted{Variable: variable, Argument: i + 1, Prefix: name + "="}, value, notEmpty(which, value)
		case number:
			return Adopted{Variable: variable, Argument: i + 1, Option: behindOption(args, i)}, arg, notEmpty(which, arg)
		case option && i+1 < len(args):
			return Adopted{Variable: variable, Argument: i + 2, Option: true}, args[i+1], notEmpty(which, args[i+1])
		}
	}
	return Adopted{}, "", fmt.Errorf("the entry has no argument %q", which)
}

// behindOption tells whether an argument is what the one before it says: left alone, that option would take the next one.
func behindOption(args []string, i int) bool {
	return i > 0 && strings.HasPrefix(args[i-1], "-") && args[i-1] != "--" && !strings.Contains(args[i-1], "=") && !strings.HasPrefix(args[i], "-")
}

func notEmpty(which, value string) error {
	if value == "" {
		return fmt.Errorf("argument %q is empty", which)
	}
	return nil
}
