package frame_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// language is another language's JSON parser, as servers written in it use it.
type language struct {
	name     string
	commands []string // what its interpreter may be called
	install  string
	script   string
	refuses  func(line string) bool // what it is known not to read, though it is good JSON
}

var languages = []language{
	{"JavaScript", []string{"node"}, "Node.js (apt install nodejs)", "testdata/parse.js", func(string) bool { return false }},
	{"Python", []string{"python3", "python"}, "Python 3 (apt install python3)", "testdata/parse.py", hasLongInteger},
}

// hasLongInteger reports whether a line may have an integer of more than 4,300 digits, which Python leaves unread for
// fear of the time that it takes (sys.set_int_max_str_digits).
func hasLongInteger(line string) bool {
	digits := 0
	for i := range len(line) {
		if c := line[i]; '0' <= c && c <= '9' {
			digits++
		} else {
			digits = 0
		}
		if digits > 4300 {
			return true
		}
	}
	return false
}

// parser is a running process that reads messages and tells what they are to its language.
type parser struct {
	language
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// view is what a parser sees of a message's header. A member is written as its type and value: s and its text, n and
// its bits as a floating-point number, true, false or null, { or [ for what has members of its own; "" is none. An id
// that is an integer is i and its digits.
type view struct{ Method, ID, Name, URI, Version, Request string }

// answer is what a parser makes of a message.
type answer struct {
	Refused string
	Views   []view   // in the ways that the language's servers look at a message
	Leaves  []string // every value that has none inside, as path=value
}

// startParser starts the parser of a language for as long as the test runs.
func startParser(t testing.TB, l language) (*parser, error) {
	err := errors.New("has no command")
	for _, command := range l.commands {
		var p *parser
		if p, err = runParser(l, command); err == nil {
			t.Cleanup(p.stop)
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s cannot be asked: install %s: %w", l.name, l.install, err)
}

func runParser(l language, command string) (*parser, error) {
	p := &parser{language: l, process: exec.Command(command, l.script)}
	p.process.Stderr = os.Stderr
	var err error
	if p.in, err = p.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	if _, err := p.ask("{}"); err != nil { // a command of that name need not be the interpreter
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *parser) stop() {
	p.in.Close()
	p.process.Wait() // how it ends says nothing
}

// ask has the parser read a message, which may take it a minute.
func (p *parser) ask(line string) (answer, error) {
	defer time.AfterFunc(time.Minute, func() { p.process.Process.Kill() }).Stop()
	var a answer
	if _, err := fmt.Fprintln(p.in, base64.StdEncoding.EncodeToString([]byte(line))); err != nil {
		return a, err
	}
	said, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("the answer to %.200q: %w", line, err)
	}
	return a, json.Unmarshal(said, &a)
}

// needParser starts a parser, or skips the test where that is no matter.
func needParser(t *testing.T, l language) *parser {
	t.Helper()
	p, err := startParser(t, l)
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	return p
}

// printable writes UTF-16 units as the parsers do.
func printable(units []uint16) string {
	var b strings.Builder
	for _, u := range units {
		if u < ' ' || u > '~' || u == '"' || u == '\\' {
			fmt.Fprintf(&b, `\u%04x`, u)
		} else {
			b.WriteByte(byte(u))
		}
	}
	return b.String()
}
