package policy

import (
	"errors"
	"fmt"
	"strings"
)

// listed says where the items of a list are and what names them.
type listed struct{ list, name, method string }

var lists = [...][]listed{
	Tool:   {{"tools", "name", "tools/call"}},
	Prompt: {{"prompts", "name", "prompts/get"}},
	Resource: {
		{"resources", "uri", "resources/read"},
		{"resourceTemplates", "uriTemplate", "resources/read"},
	},
}

var errList = errors.New("not a list that can be filtered")

// Lists takes what u may not see out of the result of tools/list, prompts/list, resources/list or
// resources/templates/list. A template is decided about as if its text were an address. Every other byte stays, and list
// itself is returned where nothing goes. A list, or an item of it, that is not clear is an error.
func (p *Policy) Lists(u *User, server string, k Kind, list []byte) ([]byte, error) {
	if k < Tool || k > Resource {
		return nil, errList
	}
	s, err := newScanner(list)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errList, err)
	}
	f := &filter{scanner: s, policy: p, user: u, action: Action{Server: server, Kind: k}}
	if err := f.result(); err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	if !f.dropped {
		return list, nil
	}
	return append(f.out, list[f.copied:]...), nil
}

// filter is the work of Lists.
type filter struct {
	*scanner
	policy  *Policy
	user    *User
	action  Action
	out     []byte
	copied  int // bytes of the list that are in out, or left out of it
	dropped bool
}

func (f *filter) result() error {
	seen := map[string]bool{}
	err := f.object(func(key string) error {
		for _, l := range lists[f.action.Kind] {
			if !strings.EqualFold(key, l.list) {
				continue
			}
			if key != l.list || seen[key] {
				return fmt.Errorf("%w: %q is there twice, or in another spelling", errList, l.list)
			}
			seen[key] = true
			return f.items(l)
		}
		return f.skip()
	})
	switch {
	case err != nil:
		return err
	case len(seen) == 0:
		return fmt.Errorf("%w: it is not there", errList)
	}
	return f.end()
}

// items goes over the items; one that is kept is copied with all the space around it.
func (f *filter) items(l listed) error {
	if f.peek() != '[' {
		return errList
	}
	f.action.Method = l.method
	opening := f.i + 1
	start, kept := opening, 0
	f.copy(start)
	err := f.array(func() error {
		visible, err := f.item(l)
		if err != nil {
			return err
		}
		f.space()
		if !visible {
			f.dropped = true
			f.copied = f.i
		} else {
			if kept > 0 {
				f.out = append(f.out, ',')
			}
			kept++
			f.copied = max(f.copied, start)
			f.copy(f.i)
		}
		start = f.i + 1 // behind the comma
		f.copied = start
		return nil
	})
	if start > opening { // there were items: what follows begins with the closing bracket
		f.copied = f.i - 1
	}
	return err
}

func (f *filter) copy(to int) {
	f.out = append(f.out, f.b[f.copied:to]...)
	f.copied = to
}

// hints are the annotations of a tool that conditions may ask for.
var hints = map[string]func(*Action) **bool{
	"readOnlyHint":    func(a *Action) **bool { return &a.ReadOnly },
	"destructiveHint": func(a *Action) **bool { return &a.Destructive },
	"idempotentHint":  func(a *Action) **bool { return &a.Idempotent },
	"openWorldHint":   func(a *Action) **bool { return &a.OpenWorld },
}

// item reads one item and says whether it stays.
func (f *filter) item(l listed) (visible bool, err error) {
	f.action.Name, f.action.ReadOnly, f.action.Destructive, f.action.Idempotent, f.action.OpenWorld = "", nil, nil, nil, nil
	named, annotated := false, false
	err = f.object(func(key string) error {
		switch {
		case key == l.name && !named && f.peek() == '"':
			named = true
			f.action.Name, err = f.text()
			return err
		case strings.EqualFold(key, l.name):
			return fmt.Errorf("%w: an item has no clear name", errList)
		case key == "annotations" && !annotated && f.peek() == '{':
			annotated = true
			return f.object(f.annotation)
		case strings.EqualFold(key, "annotations") && f.policy.conditions != nil && f.peek() != 'n':
			return fmt.Errorf("%w: an item has no clear annotations", errList)
		}
		return f.skip()
	})
	if err == nil && !named {
		err = fmt.Errorf("%w: an item has no name", errList)
	}
	return err == nil && f.policy.Visible(f.user, &f.action), err
}

func (f *filter) annotation(key string) error {
	field := hints[key]
	if c := f.peek(); field == nil || c != 't' && c != 'f' {
		return f.skip()
	}
	given := f.peek() == 't'
	*field(&f.action) = &given
	return f.skip()
}
