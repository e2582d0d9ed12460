package keyring_test

import (
	"errors"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mcp-valet/keyring"
)

func isError(err, want error) bool { return errors.Is(err, want) }

func listen(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// A fakeService is a Secret Service on a real bus that can be told to
// misbehave: the states that a real daemon cannot be put into from outside.
type fakeService struct {
	mu     sync.Mutex
	items  map[string][]byte // by user name
	quiet  chan struct{}     // closed to end what hangs
	prompt bool              // unlocking shows a prompt that nobody answers
	hang   string            // "before" or "after" a new item is kept
	lie    bool              // say that an item was kept, and do not
}

const secretName, servicePath = "org.freedesktop.secrets", dbus.ObjectPath("/org/freedesktop/secrets")

// busSecret is the struct (oayays) of the specification.
type busSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func startFakeService(t *testing.T) *fakeService {
	t.Helper()
	f := &fakeService{items: map[string][]byte{}, quiet: make(chan struct{})}
	conn := privateBus(t)
	for _, export := range []error{
		conn.Export(f, servicePath, "org.freedesktop.Secret.Service"),
		conn.Export(fakeProperties{}, servicePath, "org.freedesktop.DBus.Properties"),
		conn.Export(fakeCollection{f}, login, "org.freedesktop.Secret.Collection"),
		conn.Export(fakeSession{}, "/session", "org.freedesktop.Secret.Session"),
		conn.Export(fakePrompt{}, "/prompt", "org.freedesktop.Secret.Prompt"),
		conn.ExportSubtree(fakeItem{f}, "/item", "org.freedesktop.Secret.Item"),
	} {
		if export != nil {
			t.Fatal(export)
		}
	}
	if reply, err := conn.RequestName(secretName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("name: %v, %v", reply, err)
	}
	t.Cleanup(func() { close(f.quiet) })
	return f
}

func (f *fakeService) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

type fakeProperties struct{}

func (fakeProperties) Get(string, string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant([]dbus.ObjectPath{login}), nil
}

func (f *fakeService) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), "/session", nil
}

func (f *fakeService) Unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.prompt {
		return nil, "/prompt", nil
	}
	return paths, "/", nil
}

type fakeSession struct{}

func (fakeSession) Close() *dbus.Error { return nil }

type fakePrompt struct{}

func (fakePrompt) Prompt(string) *dbus.Error { return nil } // shown; nobody will ever complete it

type fakeCollection struct{ f *fakeService }

func (c fakeCollection) SearchItems(attributes map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if _, ok := c.f.items[attributes["username"]]; !ok {
		return []dbus.ObjectPath{}, nil
	}
	return []dbus.ObjectPath{"/item/one"}, nil
}

func (c fakeCollection) CreateItem(properties map[string]dbus.Variant, s busSecret, _ bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	attributes := properties["org.freedesktop.Secret.Item.Attributes"].Value().(map[string]string)
	c.f.mu.Lock()
	hang, lie := c.f.hang, c.f.lie
	if hang != "before" && !lie {
		c.f.items = maps.Clone(c.f.items)
		c.f.items[attributes["username"]] = s.Value
	}
	c.f.mu.Unlock()
	if hang != "" {
		<-c.f.quiet
	}
	return "/item/one", "/", nil
}

type fakeItem struct{ f *fakeService }

func (i fakeItem) GetSecret(session dbus.ObjectPath) (busSecret, *dbus.Error) {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	for _, v := range i.f.items {
		return busSecret{session, []byte{}, v, "text/plain"}, nil
	}
	return busSecret{}, dbus.NewError("org.freedesktop.Secret.Error.NoSuchObject", nil)
}

// go-keyring waits for the prompt without end, and runs into a nil pointer
// when the connection is closed under it.
func TestUnansweredPrompt(t *testing.T) {
	if !inSession(t, bareBus) {
		return
	}
	f := startFakeService(t)
	dir := stateDir(t)
	s, slow := openReal(t, dir, short), openReal(t, dir, long)
	mustSet(t, slow, work, small)
	for range 3 {
		f.set(func() { f.prompt = true })
		within(t, 10*time.Second, func() error { _, err := s.Get(t.Context(), work); return err }, keyring.ErrTimeout)
		f.set(func() { f.prompt = false })
		wantRecord(t, slow, work, small) // the call under the prompt has ended
	}
}

func TestSetOfUnknownOutcome(t *testing.T) {
	if !inSession(t, bareBus) {
		return
	}
	f := startFakeService(t)
	dir := stateDir(t)
	s, slow := openReal(t, dir, 2*time.Second), openReal(t, dir, long)
	mustSet(t, slow, work, large)

	f.set(func() { f.hang = "before" })
	within(t, 15*time.Second, func() error { return s.Set(t.Context(), work, keyring.NewSecret(large+"2")) }, keyring.ErrUnknown)
	wantRecord(t, slow, work, large)

	f.set(func() { f.hang = "after" }) // kept, but never answered: looking again finds it
	within(t, 15*time.Second, func() error { return s.Set(t.Context(), work, keyring.NewSecret(large+"3")) }, nil)
	wantRecord(t, slow, work, large+"3")
}

// A service may call a dismissed prompt a success.
func TestSetThatWasNotKept(t *testing.T) {
	if !inSession(t, bareBus) {
		return
	}
	f := startFakeService(t)
	s := openReal(t, stateDir(t), long)
	f.set(func() { f.lie = true })
	within(t, 15*time.Second, func() error { return s.Set(t.Context(), work, keyring.NewSecret(small)) }, keyring.ErrUnavailable)
	f.set(func() { f.lie = false })
	mustSet(t, s, work, small)
	f.set(func() { f.lie = true })
	within(t, 15*time.Second, func() error { return s.Set(t.Context(), work, keyring.NewSecret(small+"2")) }, keyring.ErrUnavailable)
	wantRecord(t, s, work, small)
}
