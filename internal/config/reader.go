package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"
)

// node is one value of the file and where it stands.
type node struct {
	v  hujson.Value
	at *place
}

// reader turns nodes into Go values and collects what is wrong with them.
type reader struct {
	doc      *document
	problems []problem
	total    int // problems found, kept or not
}

func newReader(doc *document) *reader {
	r := &reader{doc: doc}
	r.checkStrings(node{v: doc.root})
	return r
}

func (r *reader) err() error { return joinProblems(r.doc, r.problems, r.total) }

func (r *reader) refuse(n node, format string, args ...any) {
	if r.total++; r.total > maxProblems {
		return
	}
	r.problems = append(r.problems, problem{n.v.StartOffset, n.at, fmt.Sprintf(format, args...)})
}

// checkStrings finds, at every depth, repeated keys and strings that no two programs read alike.
func (r *reader) checkStrings(n node) {
	switch v := n.v.Value.(type) {
	case hujson.Literal:
		if v.Kind() == '"' && halfSurrogate(v) {
			r.refuse(n, `\ud800 to \udfff are written in pairs only`)
		}
	case *hujson.Array:
		for i, e := range v.Elements {
			r.checkStrings(node{e, n.at.element(i)})
		}
	case *hujson.Object:
		seen := map[string]int{}
		for _, m := range v.Members {
			name := stringOf(m.Name)
			here := n.at.child(name)
			r.checkStrings(node{m.Name, here})
			if first, again := seen[name]; !again {
				seen[name] = m.Name.StartOffset
			} else if r.total < maxProblems {
				r.refuse(node{m.Name, here}, "the key is there already, in line %d", r.doc.errorAt(first, "", "").Line)
			}
			r.checkStrings(node{m.Value, here})
		}
	}
}

// fields says for each key of an object who reads its value.
type fields map[string]func(node)

// members reads an object whose keys are known, and refuses all other keys. elsewhere has a word for keys that are known
// from other programs. It gives the known keys that are there, or nil when n is no object.
func (r *reader) members(n node, known fields, elsewhere map[string]string) map[string]bool {
	obj, ok := n.v.Value.(*hujson.Object)
	if !ok {
		r.wrongType(n, "an object in { }")
		return nil
	}
	has := map[string]bool{}
	for _, m := range obj.Members {
		name := stringOf(m.Name)
		if read := known[name]; read != nil {
			has[name] = true
			read(node{m.Value, n.at.child(name)})
			continue
		}
		key := node{m.Name, n.at.child(name)}
		names := slices.Sorted(maps.Keys(known))
		if advice := elsewhere[name]; advice != "" {
			r.refuse(key, "%s", advice)
		} else if near := r.suggest(name, names); near != "" {
			r.refuse(key, "unknown key (did you mean %q?)", near)
		} else {
			r.refuse(key, "unknown key; here belong: %s", strings.Join(names, ", "))
		}
	}
	return has
}

// entries reads an object whose keys are names that a person chose. Where fold is set, names that differ only by case
// are refused: they would meet in one file, or one variable.
func (r *reader) entries(n node, fold bool, each func(name string, key, value node)) {
	obj, ok := n.v.Value.(*hujson.Object)
	if !ok {
		r.wrongType(n, "an object in { }")
		return
	}
	seen := map[string]string{}
	for _, m := range obj.Members {
		name := stringOf(m.Name)
		here := n.at.child(name)
		key := node{m.Name, here}
		if twin, again := seen[strings.ToLower(name)]; fold && again && twin != name {
			r.refuse(key, "differs from %s only by upper and lower case", shown(twin))
		}
		seen[strings.ToLower(name)] = name
		each(name, key, node{m.Value, here})
	}
}

// text reads a string that is one line and not empty.
func (r *reader) text(n node) string {
	s := r.value(n)
	switch {
	case kindOf(n.v) != '"':
	case s == "":
		r.refuse(n, "must not be empty; leave the key out instead")
	case strings.ContainsFunc(strings.ReplaceAll(s, "\x00", ""), isControl):
		r.refuse(n, "holds a control character")
	}
	return s
}

// value reads any string that an operating system can hand to a program.
func (r *reader) value(n node) string {
	if kindOf(n.v) != '"' {
		r.wrongType(n, "text in double quotes")
		return ""
	}
	s := stringOf(n.v)
	if strings.Contains(s, "\x00") {
		r.refuse(n, "holds the character NUL")
	}
	return s
}

func (r *reader) into(dst *string) func(node) { return func(n node) { *dst = r.text(n) } }

// list reads an array of strings with read.
func (r *reader) list(n node, read func(node) string) []string {
	arr, ok := n.v.Value.(*hujson.Array)
	if !ok {
		r.wrongType(n, `a list in [ ] such as ["one", "two"]`)
		return nil
	}
	list := make([]string, 0, len(arr.Elements))
	for i, e := range arr.Elements {
		list = append(list, read(node{e, n.at.element(i)}))
	}
	return list
}

func (r *reader) flag(n node) bool {
	if k := kindOf(n.v); k != 't' && k != 'f' {
		r.wrongType(n, "true or false")
	}
	return kindOf(n.v) == 't'
}

func (r *reader) number(n node, least, most int) int {
	if kindOf(n.v) != '0' {
		r.wrongType(n, "a number without quotes")
		return 0
	}
	i, err := strconv.Atoi(string(n.v.Value.(hujson.Literal)))
	if err != nil || i < least || i > most {
		r.refuse(n, "must be a whole number from %d to %d", least, most)
	}
	return i
}

func (r *reader) wrongType(n node, want string) {
	r.refuse(n, "must be %s, is %s", want, kindNames[kindOf(n.v)])
}

var kindNames = map[hujson.Kind]string{
	'n': "null", 't': "true", 'f': "false", '0': "a number", '"': "text", '{': "an object", '[': "a list",
}

func kindOf(v hujson.Value) hujson.Kind { return v.Value.Kind() }

func isControl(c rune) bool { return c < 0x20 || c >= 0x7f && c < 0xa0 }

// suggest gives nearest where that is quickly found and still read: a large file of mistakes should not take minutes.
func (r *reader) suggest(word string, known []string) string {
	if r.total >= maxErrors || len(known) > 1000 {
		return ""
	}
	return nearest(word, known)
}

// Nearest gives the known word that was most likely meant by word, or "".
func Nearest(word string, known []string) string { return nearest(word, known) }

// nearest gives the known word that was most likely meant by word, or "".
func nearest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if plain(k) == plain(word) {
			return k
		}
		if d := editDistance(word, k, distance); d < distance && d*3 <= len(k) {
			best, distance = k, d
		}
	}
	return best
}

// plain takes client_id, client-id and CLIENTID for clientId.
func plain(word string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(word))
}

// editDistance counts the characters to change, add or remove between two words; it gives limit for any number from
// there on.
func editDistance(x, y string, limit int) int {
	if len(x) > len(y)+limit || len(y) > len(x)+limit {
		return limit
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(x) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(y) {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(y)], limit)
}
