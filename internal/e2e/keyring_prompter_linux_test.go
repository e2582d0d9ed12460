package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// prompter stands in for the desktop's window in which a keychain's password is asked for: it shows each, and nobody types.
// It speaks as much of D-Bus as gnome-keyring needs (D-Bus specification, "Message Protocol").
type prompter struct {
	conn   net.Conn
	in     *bufio.Reader
	serial uint32

	mu    sync.Mutex
	shown []*window
}

// window is one request for the password.
type window struct {
	path           string
	opened, closed time.Time // closed is zero while it is open
}

const (
	prompterName      = "org.gnome.keyring.SystemPrompter"
	prompterCallbacks = "org.gnome.keyring.internal.Prompter.Callback"
)

// startPrompter takes the prompter's name on a bus until the test ends.
func startPrompter(t *testing.T, socket string) *prompter {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	p := &prompter{conn: conn, in: bufio.NewReader(conn)}
	fmt.Fprintf(conn, "\x00AUTH EXTERNAL %s\r\n", hex.EncodeToString(fmt.Append(nil, os.Getuid())))
	if line, err := p.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "OK ") {
		t.Fatalf("the bus does not let us in: %q %v", line, err)
	}
	io.WriteString(conn, "BEGIN\r\n")
	const bus, busPath = "org.freedesktop.DBus", "/org/freedesktop/DBus"
	p.send(busCall(bus, busPath, bus, "Hello", "", nil))
	var name wire
	name.text(prompterName)
	name.number(4) // do not queue
	p.send(busCall(bus, busPath, bus, "RequestName", "su", name.Bytes()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.serve()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	return p
}

// windows are those that were shown so far.
func (p *prompter) windows() []window {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]window, len(p.shown))
	for i, w := range p.shown {
		all[i] = *w
	}
	return all
}

func (p *prompter) serve() {
	for {
		m, err := readBus(p.in)
		if err != nil {
			return
		}
		if m.kind != busMethodCall {
			continue
		}
		p.send(busMessage{kind: busReturn, replyTo: m.serial, destination: m.sender})
		switch m.member {
		case "BeginPrompting":
			var ready wire // with nothing to say, no properties, no exchange of keys
			ready.text("")
			ready.number(0)
			ready.align(8)
			ready.text("")
			p.send(busCall(m.sender, m.firstText(), prompterCallbacks, "PromptReady", "sa{sv}s", ready.Bytes()))
		case "PerformPrompt":
			p.mu.Lock()
			p.shown = append(p.shown, &window{path: m.firstText(), opened: time.Now()})
			p.mu.Unlock()
		case "StopPrompting":
			p.close(m.firstText())
			p.send(busCall(m.sender, m.firstText(), prompterCallbacks, "PromptDone", "", nil))
		}
	}
}

func (p *prompter) close(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.shown {
		if w.path == path && w.closed.IsZero() {
			w.closed = time.Now()
		}
	}
}

func (p *prompter) send(m busMessage) {
	p.serial++
	m.serial = p.serial
	p.conn.Write(m.marshal()) // an error shows by what is not answered
}

const (
	busMethodCall = 1
	busReturn     = 2
)

// busMessage is a message of D-Bus, as far as a prompter needs it.
type busMessage struct {
	kind                                                   byte
	serial, replyTo                                        uint32
	destination, path, interfaceName, member, sign, sender string
	body                                                   []byte
}

func busCall(destination, path, interfaceName, member, sign string, body []byte) busMessage {
	return busMessage{kind: busMethodCall, destination: destination, path: path, interfaceName: interfaceName, member: member, sign: sign, body: body}
}

// firstText is the first argument, where that is a text or a path.
func (m *busMessage) firstText() string {
	if len(m.body) < 4 {
		return ""
	}
	return string(m.body[4:][:binary.LittleEndian.Uint32(m.body)])
}

func (m *busMessage) marshal() []byte {
	var fields wire
	for _, f := range []struct {
		code  byte
		kind  string
		value string
	}{{1, "o", m.path}, {2, "s", m.interfaceName}, {3, "s", m.member}, {6, "s", m.destination}, {8, "g", m.sign}} {
		if f.value == "" {
			continue
		}
		fields.align(8)
		fields.WriteByte(f.code)
		fields.signature(f.kind)
		if f.kind == "g" {
			fields.signature(f.value)
		} else {
			fields.text(f.value)
		}
	}
	if m.kind == busReturn {
		fields.align(8)
		fields.WriteByte(5)
		fields.signature("u")
		fields.number(m.replyTo)
	}
	var all wire
	all.Write([]byte{'l', m.kind, 0, 1})
	all.number(uint32(len(m.body)))
	all.number(m.serial)
	all.number(uint32(fields.Len()))
	all.Write(fields.Bytes())
	all.align(8)
	all.Write(m.body)
	return all.Bytes()
}

// readBus reads a message; all that run on one machine here are little-endian.
func readBus(r io.Reader) (m busMessage, err error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(r, head); err != nil {
		return m, err
	}
	size := binary.LittleEndian.Uint32(head[12:])
	fields := make([]byte, (size+7)/8*8)
	m.kind, m.serial = head[1], binary.LittleEndian.Uint32(head[8:])
	m.body = make([]byte, binary.LittleEndian.Uint32(head[4:]))
	if _, err := io.ReadFull(r, fields); err != nil {
		return m, err
	}
	if _, err := io.ReadFull(r, m.body); err != nil {
		return m, err
	}
	for at := 0; at+4 <= int(size); at = (at + 7) / 8 * 8 {
		code, kind := fields[at], fields[at+2]
		at += 4 // the code, and a signature of one letter
		length := 0
		switch kind {
		case 's', 'o':
			length = int(binary.LittleEndian.Uint32(fields[at:]))
			at += 4
		case 'g':
			length = int(fields[at])
			at++
		default: // a number
			at += 4
			continue
		}
		value := string(fields[at : at+length])
		at += length + 1
		switch code {
		case 1:
			m.path = value
		case 3:
			m.member = value
		case 7:
			m.sender = value
		}
	}
	return m, nil
}

// wire is what goes over the bus.
type wire struct{ bytes.Buffer }

func (w *wire) align(n int) {
	for w.Len()%n != 0 {
		w.WriteByte(0)
	}
}

func (w *wire) number(n uint32) {
	w.align(4)
	w.Write(binary.LittleEndian.AppendUint32(nil, n))
}

func (w *wire) text(s string) {
	w.number(uint32(len(s)))
	w.WriteString(s + "\x00")
}

func (w *wire) signature(s string) {
	w.WriteByte(byte(len(s)))
	w.WriteString(s + "\x00")
}
