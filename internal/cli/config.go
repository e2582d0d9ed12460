package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"mcp-valet/internal/config"
	"mcp-valet/internal/person"
	"mcp-valet/refresh"
	"mcp-valet/wrapper/audit"
)

var configPathCommand = command{
	name: "config path", max: 0,
	short:   "print where the config file is",
	example: "mcp-valet config path",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(context.Context, []string) error {
			path, err := a.configPath()
			if err == nil {
				fmt.Fprintln(a.stdout, path)
			}
			return err
		}
	},
}

var configCheckCommand = command{
	name: "config check", max: 0,
	short:   "read the config and say what is wrong with it",
	example: "mcp-valet config check",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(context.Context, []string) error { return a.configCheck() }
	},
}

var configEditCommand = command{
	name: "config edit", max: 0,
	short:   "edit the config; a version with a mistake in it never replaces one that works",
	example: "EDITOR=nano mcp-valet config edit",
	flags: func(a *app, _ *pflag.FlagSet) action {
		return func(ctx context.Context, _ []string) error { return a.configEdit(ctx) }
	},
}

func (a *app) configCheck() error {
	cfg, err := a.loadConfig(true)
	if err != nil {
		return err
	}
	var wrong []error
	for _, name := range sortedKeys(cfg.Accounts) {
		account, err := resolveAccount(name, cfg.Accounts[name])
		if err == nil {
			_, err = refresh.New(account)
		}
		if err != nil {
			wrong = append(wrong, &config.Error{Path: cfg.Path, Key: "accounts." + name, Msg: err.Error()})
		}
	}
	for _, name := range sortedKeys(cfg.Servers) {
		if _, err := describe(cfg, name); err != nil {
			wrong = append(wrong, &config.Error{Path: cfg.Path, Key: "mcpServers." + name, Msg: err.Error()})
		}
		if _, err := compilePolicy(cfg, name); err != nil {
			wrong = append(wrong, err)
		}
	}
	if cfg.Audit != nil && cfg.Audit.OTLP != "" {
		if err := audit.CheckEndpoint(cfg.Audit.OTLP); err != nil {
			wrong = append(wrong, &config.Error{Path: cfg.Path, Key: "audit.otlp", Msg: err.Error()})
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	fmt.Fprintf(a.stdout, "%s: good, %s, %s\n", cfg.Path, count(len(cfg.Accounts), "account"), count(len(cfg.Servers), "server"))
	return nil
}

// configEdit edits a copy beside the config and replaces the config only with text that it understands.
func (a *app) configEdit(ctx context.Context) error {
	path, err := a.configPath()
	if err != nil {
		return err
	}
	before, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		before, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	draft := path + ".edit"
	if err := a.startDraft(draft, before); err != nil {
		return err
	}
	after, err := a.editUntilGood(ctx, path, draft)
	if err != nil {
		return err
	}
	if string(after) == string(before) {
		a.sayf("Nothing was changed.")
		return os.Remove(draft)
	}
	err = config.Update(path, func(now []byte) ([]byte, error) {
		if string(now) != string(before) {
			return nil, fmt.Errorf("the config was changed by another program meanwhile; your text is in %s", draft)
		}
		return after, nil
	})
	if err != nil {
		return err
	}
	a.sayf("Saved %s.", path)
	return os.Remove(draft)
}

// startDraft writes the text to edit. A draft that an earlier edit left is somebody's work, but may be older than the
// config: it is put aside.
func (a *app) startDraft(draft string, text []byte) error {
	if _, err := os.Lstat(draft); err == nil {
		aside := draft + time.Now().Format("-20060102-150405")
		if err := os.Rename(draft, aside); err != nil {
			return fmt.Errorf("putting an earlier draft aside: %w", err)
		}
		a.sayf("The text that an earlier edit left is now in %s; this edit begins with the config as it is.", aside)
	}
	if len(text) == 0 {
		text = config.Template()
	}
	return config.Save(draft, text)
}

// editUntilGood runs the editor until its text is a config, or the person gives up.
func (a *app) editUntilGood(ctx context.Context, path, draft string) ([]byte, error) {
	for {
		if err := a.runEditor(ctx, draft); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(draft)
		if err != nil {
			return nil, fmt.Errorf("reading the edited config: %w", err)
		}
		if _, err = config.Parse(path, text); err == nil {
			return text, nil
		}
		a.sayf("%v", err)
		tty, ttyErr := person.OpenTerminal()
		if ttyErr != nil {
			return nil, fmt.Errorf("the config is as it was; your text is in %s: %w", draft, err)
		}
		again, askErr := tty.Confirm(ctx, "Edit again?")
		tty.Close()
		if askErr != nil || !again {
			return nil, fmt.Errorf("the config is as it was; your text is in %s: %w", draft, err)
		}
	}
}

// runEditor runs the person's editor on a file. The value of $VISUAL or $EDITOR may hold options, separated by spaces.
func (a *app) runEditor(ctx context.Context, file string) error {
	words := strings.Fields(editor())
	if len(words) == 0 {
		words = []string{defaultEditor}
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	cmd.Env = person.ForeignEnv(os.Environ())
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running the editor %s: %w", words[0], err)
	}
	return nil
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return sorted(keys)
}
