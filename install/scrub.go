package install

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"

	"mcp-valet/keyring"
)

// NotShown stands for a secret on a screen.
const NotShown = "(not shown)"

// shortSecret is the length in bytes below which a secret may occur by chance: it is then looked for only as the whole
// value of a variable of its own name.
const shortSecret = 8

// scrub puts references in place of known secrets, wherever they stand in a client's config, and a word in place of
// whatever looks like a secret in one of its entries.
func (c Client) scrub(text []byte, known map[string]keyring.Secret) ([]byte, error) {
	root, err := hujson.Parse(bytes.Clone(text))
	if err != nil {
		return nil, errors.New("the text is not JSON")
	}
	s := scrubber{text: text, secrets: replacements(known), entries: c.Key, word: func(kind string) string { return "<" + kind + ", not kept>" }}
	s.walk("", root, 0)
	return append(s.out, text[s.at:]...), nil
}

// Conceal gives an entry for a person to look at: nothing of the known secrets is in it, nor what else looks like one.
func Conceal(entry []byte, known []keyring.Secret) []byte {
	return conceal(entry, known, true)
}

// ConcealKnown is Conceal for the known secrets alone.
func ConcealKnown(entry []byte, known []keyring.Secret) []byte {
	return conceal(entry, known, false)
}

func conceal(entry []byte, known []keyring.Secret, detect bool) []byte {
	root, err := hujson.Parse(bytes.Clone(entry))
	if err != nil {
		return []byte(`"` + NotShown + `"`)
	}
	s := scrubber{text: entry, secrets: unnamed(known), entry: detect, word: func(string) string { return NotShown }}
	s.walk("", root, 0)
	return append(s.out, entry[s.at:]...)
}

// ConcealText gives a text without the known secrets.
func ConcealText(text string, known []keyring.Secret) string {
	s := scrubber{secrets: unnamed(known)}
	return s.clean("", text)
}

// ConcealArguments gives arguments without the known secrets, nor what else looks like one.
func ConcealArguments(args []string, known []keyring.Secret) []string {
	s := scrubber{secrets: unnamed(known), entry: true, word: func(string) string { return NotShown }}
	shown := make([]string, len(args))
	for i := range args {
		shown[i] = s.argument(args, i)
	}
	return shown
}

// Standing lists the places in an entry where a text stands that is known to be secret, be it as a part of another from
// shortSecret on: an argument, a variable of "env", or else a member.
func Standing(entry []byte, secret keyring.Secret) (places []Adopted) {
	root, err := hujson.Parse(bytes.Clone(entry))
	value := secret.Reveal()
	if err != nil || len(value) < shortSecret/2 {
		return nil
	}
	for v := range root.All() {
		if !isText(*v) {
			continue
		}
		if text := textOf(*v); text != value && (len(value) < shortSecret || !strings.Contains(text, value)) {
			continue
		}
		if place, ok := placeOf(&root, v); ok {
			places = append(places, place)
		}
	}
	return places
}

// placeOf says where a value stands; names of members are no values.
func placeOf(root, at *hujson.Value) (place Adopted, ok bool) {
	var walk func(v *hujson.Value, pointer string) bool
	walk = func(v *hujson.Value, pointer string) bool {
		if v == at {
			place, ok = placeAt(pointer), true
			return true
		}
		switch box := v.Value.(type) {
		case *hujson.Array:
			for i := range box.Elements {
				if walk(&box.Elements[i], pointer+"/"+strconv.Itoa(i)) {
					return true
				}
			}
		case *hujson.Object:
			for i := range box.Members {
				if walk(&box.Members[i].Value, pointer+"/"+escapePointer.Replace(textOf(box.Members[i].Name))) {
					return true
				}
			}
		}
		return false
	}
	walk(root, "")
	return place, ok
}

var (
	escapePointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
)

// VariableMember is the JSON Pointer to a variable.
func VariableMember(name string) string { return "/env/" + escapePointer.Replace(name) }

func placeAt(pointer string) Adopted {
	if name, is := strings.CutPrefix(pointer, "/env/"); is && !strings.Contains(name, "/") {
		return Adopted{Variable: unescapePointer.Replace(name)}
	}
	if number, is := strings.CutPrefix(pointer, "/args/"); is {
		if n, err := strconv.Atoi(number); err == nil {
			return Adopted{Argument: n + 1}
		}
	}
	return Adopted{Member: pointer}
}

type replacement struct{ ref, value string }

// replacements has the longest secret first: one may be part of another.
func replacements(known map[string]keyring.Secret) (all []replacement) {
	for ref, secret := range known {
		if value := secret.Reveal(); value != "" {
			all = append(all, replacement{ref, value})
		}
	}
	slices.SortFunc(all, func(x, y replacement) int {
		if len(x.value) != len(y.value) {
			return len(y.value) - len(x.value)
		}
		return strings.Compare(x.ref, y.ref)
	})
	return all
}

func unnamed(known []keyring.Secret) (all []replacement) {
	for _, k := range known {
		all = append(all, replacements(map[string]keyring.Secret{NotShown: k})...)
	}
	slices.SortStableFunc(all, func(x, y replacement) int { return len(y.value) - len(x.value) })
	return all
}

type scrubber struct {
	secrets []replacement
	entries string // key of the object that holds the entries; "" for none
	entry   bool   // within an entry: what looks like a secret goes, too
	word    func(kind string) string
	text    []byte
	at      int // text before this offset is done
	out     []byte
}

// walk goes through the values in the order of the text. key is that of the member that v is the value of.
func (s *scrubber) walk(key string, v hujson.Value, depth int) {
	switch box := v.Value.(type) {
	case *hujson.Array:
		s.walkList(box, depth)
	case *hujson.Object:
		for _, m := range box.Members {
			name := textOf(m.Name)
			if depth == 0 && s.entries != "" {
				s.entry = name == s.entries
			}
			s.walk(name, m.Value, depth+1)
		}
	case hujson.Literal:
		if !isText(v) {
			return
		}
		text := textOf(v)
		clean := s.clean(key, text)
		if kind, secret := DetectSecret(key, clean); secret && s.entry {
			clean = s.word(kind)
		}
		s.put(v, text, clean)
	}
}

// walkList judges texts in a list as arguments.
func (s *scrubber) walkList(list *hujson.Array, depth int) {
	var args []string
	for _, e := range list.Elements {
		if isText(e) {
			args = append(args, textOf(e))
		}
	}
	i := 0
	for _, e := range list.Elements {
		if !isText(e) {
			s.walk("", e, depth+1)
			continue
		}
		s.put(e, args[i], s.argument(args, i))
		i++
	}
}

func (s *scrubber) argument(args []string, i int) string {
	clean := s.clean("", args[i])
	kind, secret := DetectArgument(args, i)
	if !s.entry || !secret || clean != args[i] {
		return clean
	}
	if name, _, cut := strings.Cut(args[i], "="); cut && strings.HasPrefix(name, "-") {
		return name + "=" + s.word(kind)
	}
	return s.word(kind)
}

func (s *scrubber) put(v hujson.Value, old, clean string) {
	if clean != old {
		s.out = append(append(s.out, s.text[s.at:v.StartOffset]...), encode(clean)...)
		s.at = v.EndOffset
	}
}

func (s *scrubber) clean(key, value string) string {
	for _, r := range s.secrets {
		switch {
		case len(r.value) >= shortSecret:
			value = strings.ReplaceAll(value, r.value, r.ref)
		case value == r.value && (strings.HasSuffix(r.ref, "/"+key) || r.ref == NotShown && len(value) >= shortSecret/2):
			value = r.ref
		}
	}
	return value
}
