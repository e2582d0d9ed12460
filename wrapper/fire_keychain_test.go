package wrapper_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"mcp-valet/keyring"
)

// chain is the keychain of the machine, behind all processes.
type chain struct {
	fire *fire

	mu      sync.Mutex
	items   map[string]string
	backlog []func() // what a stopped keychain was asked, oldest first
	calls   int
	kept    []string // the texts that were ever in it
	hits    []time.Time
	damaged bool
}

func newChain(f *fire) *chain { return &chain{fire: f, items: map[string]string{}} }

// desk is how one process gets at the keychain.
type desk struct {
	*chain
	p *process
}

var errNoItem = &keyring.Error{Err: keyring.ErrNotFound}

func (d *desk) Get(service, user string) (text string, err error) {
	err = d.call("Get", func() error {
		found, ok := d.items[service+"/"+user]
		if !ok {
			return errNoItem
		}
		text = found
		return nil
	})
	return text, err
}

func (d *desk) Set(service, user, text string) error {
	return d.call("Set", func() error {
		d.items[service+"/"+user] = text
		d.kept = append(d.kept, text)
		return nil
	})
}

func (d *desk) Delete(service, user string) error {
	return d.call("Delete", func() error {
		if _, ok := d.items[service+"/"+user]; !ok {
			return errNoItem
		}
		delete(d.items, service+"/"+user)
		return nil
	})
}

// errNoAnswer is what a call ends with whose process is no more, or whose connection broke: it may have been made.
var errNoAnswer = io.EOF

// call makes a call, which has its fault.
func (d *desk) call(op string, does func() error) error {
	f := d.fire
	if d.dies(); d.p.dead.Load() {
		return errNoAnswer
	}
	d.mu.Lock()
	d.calls++
	n := d.calls
	d.mu.Unlock()
	fault := ""
	if !f.calm.Load() {
		fault = f.fault(f.keychain, "keychain", n, f.elapsed())
	}
	err := d.under(fault, op, n, does)
	if d.dies(); d.p.dead.Load() {
		return errNoAnswer
	}
	return err
}

// dies is a moment at which an agent may be killed: within a call to the keychain its store finds out.
func (d *desk) dies() {
	if d.p.agent {
		d.p.step()
	}
}

func (d *desk) under(fault, op string, n int, does func() error) error {
	dice := d.fire.dice("keychain call", n)
	if fault == "full" && op != "Set" || fault == "liar" && op == "Get" {
		fault = ""
	}
	if fault != "" {
		d.meets(fault, op)
	}
	switch fault {
	case "locked":
		return &keyring.Error{Err: keyring.ErrLocked}
	case "unavailable":
		return &keyring.Error{Err: keyring.ErrUnavailable}
	case "full":
		return &keyring.Error{Err: keyring.ErrFull}
	case "stopped":
		return d.queued(does)
	case "slow":
		time.Sleep(within(dice, 100*time.Millisecond, 2900*time.Millisecond))
	case "done and mute":
		err := d.now(does)
		time.Sleep(within(dice, 3*time.Second, 12*time.Second))
		return err
	case "deaf and mute":
		time.Sleep(within(dice, 3*time.Second, 12*time.Second))
		return errNoAnswer
	case "liar":
		return nil
	case "cut off":
		if dice.IntN(2) == 0 {
			d.now(does) // nobody hears of it
		}
		return errNoAnswer
	}
	return d.now(does)
}

func (d *desk) meets(fault, op string) {
	d.fire.sum.add("fault", "keychain "+fault)
	d.fire.say("%s: %s meets a keychain that is %s", d.p.name, op, fault)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hits = append(d.hits, time.Now())
}

// now makes a call, after those that a stopped keychain had been asked for.
func (c *chain) now(does func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	return does()
}

func (c *chain) catchUp() {
	for _, earlier := range c.backlog {
		earlier()
	}
	c.backlog = nil
}

// queued makes a call when the keychain goes on, whether its process is still there or not.
func (c *chain) queued(does func() error) error {
	var err error
	done := false
	c.mu.Lock()
	c.backlog = append(c.backlog, func() { err, done = does(), true })
	c.mu.Unlock()
	for !c.fire.calm.Load() && c.stopped() {
		time.Sleep(time.Second)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp()
	if !done {
		return errors.New("the keychain has lost a call")
	}
	return err
}

// stopped tells whether the keychain is, just now.
func (c *chain) stopped() bool {
	at := c.fire.elapsed()
	for _, w := range c.fire.keychain {
		if w.kind == "stopped" && at >= w.from && at < w.to {
			return true
		}
	}
	return false
}

// damage makes the account's item unreadable.
func (c *chain) damage() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, text := range c.items {
		if strings.HasSuffix(name, "account/work") {
			c.items[name] = text[:len(text)/2]
			c.damaged = true
			c.fire.sum.add("fault", "keychain item damaged")
			c.fire.say("the keychain's item is damaged")
		}
	}
}

// holds tells whether a text was ever in an item.
func (c *chain) holds(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kept := range c.kept {
		if strings.Contains(kept, text) {
			return true
		}
	}
	return false
}

// failed tells whether a call has met a fault between two times.
func (c *chain) failed(from, to time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.hits {
		if !at.Before(from) && !at.After(to) {
			return true
		}
	}
	return false
}
