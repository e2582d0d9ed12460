package install_test

import (
	"slices"
	"strings"
	"testing"

	"mcp-valet/install"
	"mcp-valet/keyring"
)

// A backup holds no secret of any entry; what is outside of the entries stays as it is.
func TestScrubDetects(t *testing.T) {
	const text = `{"TOKEN": "ghp_0123456789abcdefghij", "mcpServers": {
  "a": {"command": "c", "args": ["-v", "--api-key", "abc", "--token=def", "x"], "env": {"LOG": "info", "PASSWORD": "p\u0077"}},
  "b": {"url": "https://me:pw@example.com/", "headers": {"Authorization": "Bearer 0123456789"}, "list": [{"SECRET": "s3cret"}]}
}}`
	const want = `{"TOKEN": "ghp_0123456789abcdefghij", "mcpServers": {
  "a": {"command": "c", "args": ["-v", "--api-key", "<key, not kept>", "--token=<token, not kept>", "x"], "env": {"LOG": "info", "PASSWORD": "<password, not kept>"}},
  "b": {"url": "<password in an address, not kept>", "headers": {"Authorization": "<authorization header, not kept>"}, "list": [{"SECRET": "<secret, not kept>"}]}
}}`
	got, err := install.Scrub([]byte(text), nil)
	if string(got) != want || err != nil {
		t.Fatalf("%v\n%s\nwant\n%s", err, got, want)
	}
	if again, err := install.Scrub(got, nil); string(again) != want || err != nil {
		t.Errorf("scrubbed again: %v\n%s", err, again)
	}
}

func TestConceal(t *testing.T) {
	known := []keyring.Secret{keyring.NewSecret("hunter2hunter"), keyring.NewSecret("0000")}
	const entry = `{"args": ["db=hunter2hunter", "0000", "10000", "--token", "t"], "env": {"A": "0000", "B": "hunter2"}}`
	if got, want := string(install.ConcealKnown([]byte(entry), known)), `{"args": ["db=(not shown)", "(not shown)", "10000", "--token", "t"], "env": {"A": "(not shown)", "B": "hunter2"}}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := string(install.Conceal([]byte(entry), nil)); strings.Contains(got, `"t"`) || !strings.Contains(got, "hunter2") {
		t.Errorf("got %s", got)
	}
	if got := string(install.Conceal([]byte("hunter2hunter {"), known)); strings.Contains(got, "hunter") {
		t.Errorf("got %s", got)
	}
	if got := install.ConcealArguments([]string{"--token=t", "xhunter2hunter"}, known); !slices.Equal(got, []string{"--token=(not shown)", "x(not shown)"}) {
		t.Errorf("got %q", got)
	}
}

func TestStanding(t *testing.T) {
	const entry = `{"command": "c", "args": ["x", "db=hunter2hunter"], "env": {"A": "hunter2hunter", "a/b": "xhunter\u0032hunter", "C": "other"}, "headers": {"x~": ["hunter2hunter"]}, "hunter2hunter": 1}`
	want := []install.Adopted{{Argument: 2}, {Variable: "A"}, {Variable: "a/b"}, {Member: "/headers/x~0/0"}}
	got := install.Standing([]byte(entry), keyring.NewSecret("hunter2hunter"))
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := install.TextAt([]byte(entry), "/headers/x~0/0"); got != "hunter2hunter" {
		t.Errorf("got %q", got)
	}
	for secret, n := range map[string]int{"1": 0, "info": 1, "inf": 0, "infor": 0} {
		if got := install.Standing([]byte(`{"env": {"A": "info", "B": "information", "C": "1"}}`), keyring.NewSecret(secret)); len(got) != n {
			t.Errorf("%q: %+v", secret, got)
		}
	}
}

// A secret that stays is hidden and comes back, whatever happens to those that leave.
func TestStaying(t *testing.T) {
	const entry = `{"args": ["--key", "k1", "tok", "-p", "pw", "last"], "headers": {"H": "h\/1"}, "env": {"A": "a1"}}`
	secrets := []install.Adopted{
		{Variable: "K", Argument: 2, Option: true}, {Variable: "A"}, {Variable: "argument-3", Argument: 3, Stays: true},
		{Variable: "P", Argument: 5, Option: true}, {Variable: "argument-6", Argument: 6, Stays: true}, {Variable: "member-1", Member: "/headers/H", Stays: true, AsWritten: true},
	}
	hidden, err := install.Hide([]byte(entry), "kb", secrets)
	if err != nil || slices.ContainsFunc([]string{"k1", "tok", "pw", "last", "1\"", "a1"}, func(s string) bool { return strings.Contains(strings.ReplaceAll(string(hidden), `member-1"`, ""), s) }) {
		t.Fatalf("hidden: %v\n%s", err, hidden)
	}
	kept := map[string]install.Kept{
		"argument-3": {Value: keyring.NewSecret("tok")}, "argument-6": {Value: keyring.NewSecret("last")},
		"member-1": {Value: keyring.NewSecret("h/1"), AsWritten: keyring.NewSecret(`"h\/1"`)},
	}
	less, err := install.Fill(hidden, secrets, kept)
	if want := `{"args": ["tok", "last"], "headers": {"H": "h\/1"}, "env": {}}`; string(less) != want || err != nil {
		t.Errorf("less: %v\n%s\nwant\n%s", err, less, want)
	}
	without, err := install.Without(hidden, secrets)
	if err != nil {
		t.Fatal(err)
	}
	lessHidden, err := install.Hide(less, "kb", install.Staying(secrets))
	if err != nil || !install.Same(lessHidden, without) {
		t.Errorf("%v\n%s\nwant\n%s", err, lessHidden, without)
	}
	for less, former := range map[int]int{1: 3, 2: 6} {
		if got := install.Former(secrets, less); got != former {
			t.Errorf("argument %d was %d, not %d", less, former, got)
		}
	}
	for name, value := range map[string]string{"K": "k1", "A": "a1", "P": "pw"} {
		kept[name] = install.Kept{Value: keyring.NewSecret(value)}
	}
	if full, err := install.Fill(hidden, secrets, kept); string(full) != entry || err != nil {
		t.Errorf("full: %v\n%s", err, full)
	}
	if got := install.Moved([]string{"--key", "k1", "tok", "-p", "pw", "last"}, secrets); !slices.Equal(got, []string{"tok", "last"}) {
		t.Errorf("moved: %q", got)
	}
}

func TestWhichArgument(t *testing.T) {
	args := []string{"--api-key=abc", "-t", "tok", "plain", "--h", "a", "--h", "b", "--", "x"}
	want := []string{"--api-key", "2", "-t", "4", "5", "--h", "7", "8", "9", "10"}
	for i := range args {
		if got := install.WhichArgument(args, i); got != want[i] {
			t.Errorf("%s: %s, want %s", args[i], got, want[i])
		}
	}
}
