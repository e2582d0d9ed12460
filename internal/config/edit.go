package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tailscale/hujson"
)

// The edits below take the text of a config file and give it back changed in one place. Every other byte stays:
// comments, order, spacing, line ends. Text without anything in it stands for a new file and becomes the Template first.
// An entry that is there already keeps its place, and those of its keys that are right already keep theirs; keys that
// mcp-valet does not know are left alone. Text that cannot be read, or has a key twice, is refused, as is a change that
// Parse would refuse. No edit touches a file: that is Update.

// SetAccount writes one account.
func SetAccount(b []byte, name string, a Account) ([]byte, error) {
	return edit(b, []string{"accounts", name}, accountValue(a))
}

// SetServer writes one entry of mcpServers.
func SetServer(b []byte, name string, s Server) ([]byte, error) {
	return edit(b, []string{"mcpServers", name}, serverValue(s))
}

// SetStore writes where credentials are kept; the zero Store takes the key out.
func SetStore(b []byte, s Store) ([]byte, error) {
	if s == (Store{}) {
		return edit(b, []string{"store"}, nil)
	}
	return edit(b, []string{"store"}, object{{"kind", textValue(s.Kind)}, {"keyFile", textValue(s.KeyFile)}})
}

// SetDesktop writes the variables that lead to the person's screen; none takes the key out.
func SetDesktop(b []byte, vars map[string]string) ([]byte, error) {
	if len(vars) == 0 {
		return edit(b, []string{"desktop"}, nil)
	}
	return edit(b, []string{"desktop"}, envValue(vars))
}

// RemoveAccount takes out one account, and is content when it is not there. It refuses while a server uses the account.
func RemoveAccount(b []byte, name string) ([]byte, error) {
	if server := userOf(b, name); server != "" {
		return nil, &Error{Key: (*place)(nil).child("mcpServers").child(server).String(), Msg: "uses the account " + shown(name) + "; change that first"}
	}
	return edit(b, []string{"accounts", name}, nil)
}

// RemoveServer takes out one entry of mcpServers, and is content when it is not there.
func RemoveServer(b []byte, name string) ([]byte, error) {
	return edit(b, []string{"mcpServers", name}, nil)
}

// edit makes what stands at keys equal to v, and checks the outcome there.
func edit(b []byte, keys []string, v any) ([]byte, error) {
	if mark := []byte(byteOrderMark); len(bytes.TrimSpace(bytes.TrimPrefix(b, mark))) == 0 {
		b = Template()
	}
	doc, err := editable(b)
	if err != nil {
		return nil, err
	}
	doc, err = doc.merge(keys, v)
	if err != nil {
		return nil, err
	}
	if err := doc.check(keys); err != nil {
		return nil, err
	}
	return doc.bytes(), nil
}

// editable parses text that is to be edited.
func editable(b []byte) (*document, error) {
	doc, err := parseDocument("", b)
	if err != nil {
		return nil, err
	}
	if kindOf(doc.root) != '{' {
		return nil, doc.errorAt(doc.root.StartOffset, "", "must be an object in { }")
	}
	// With a key there twice, nobody can say which one counts.
	return doc, newReader(doc).err()
}

// check refuses what Parse would refuse at keys; the rest of the file is not this edit's affair.
func (d *document) check(keys []string) error {
	r := newReader(d)
	r.config()
	var errs []error
	for _, p := range r.problems {
		if p.key.within(keys...) {
			errs = append(errs, &Error{Key: p.key.String(), Msg: p.msg}) // no line: this text is in no file yet
		}
	}
	if r.total > maxProblems && len(errs) == 0 {
		return &Error{Msg: "too much is wrong with this file to edit it"}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// userOf names a server that uses an account, or "".
func userOf(b []byte, account string) string {
	doc, err := parseDocument("", b)
	if err != nil {
		return "" // the edit itself will say so
	}
	servers := doc.find("mcpServers")
	if servers == nil || kindOf(*servers) != '{' {
		return ""
	}
	for _, m := range servers.Value.(*hujson.Object).Members {
		if v := findIn(&m.Value, "auth", "account"); v != nil && stringOf(*v) == account {
			return stringOf(m.Name)
		}
	}
	return ""
}

// merge makes what stands at keys equal to v, changing no more than it must.
func (d *document) merge(keys []string, v any) (*document, error) {
	now := d.find(keys...)
	if im, ok := v.(implied); ok {
		if now == nil {
			return d, nil
		}
		v = im.value
	}
	switch {
	case v == nil && now == nil:
		return d, nil
	case v == nil:
		return d.remove(keys)
	case now == nil && len(keys) > 1 && d.find(keys[:len(keys)-1]...) == nil:
		outer, err := d.merge(keys[:len(keys)-1], object{})
		if err != nil {
			return nil, err
		}
		return outer.insert(keys, v)
	case now == nil:
		return d.insert(keys, v)
	}
	members, isObject := membersOf(v)
	if !isObject || kindOf(*now) != '{' {
		return d.replace(*now, v)
	}
	if _, only := v.(exactly); only {
		members = append(members, unwanted(*now, members)...)
	}
	var err error
	for _, m := range members {
		if d, err = d.merge(append(slices.Clone(keys), m.name), m.value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// unwanted lists the members of an object that are not among those wanted, as members that are not to be there.
func unwanted(v hujson.Value, wanted []member) []member {
	var out []member
	for _, m := range v.Value.(*hujson.Object).Members {
		name := stringOf(m.Name)
		if !slices.ContainsFunc(wanted, func(w member) bool { return w.name == name }) {
			out = append(out, member{name, nil})
		}
	}
	return out
}

// changed parses the text again after a splice, so that the tree fits it.
func (d *document) changed(text []byte) (*document, error) {
	out, err := parseDocument(d.path, append([]byte(d.mark), text...))
	if err != nil {
		return nil, fmt.Errorf("editing the config: %w", err)
	}
	return out, nil
}

func (d *document) bytes() []byte { return append([]byte(d.mark), d.text...) }
