package proc

import (
	"fmt"
	"strings"
)

// cmd.exe reads the whole command line of a batch file as program text, by rules of its own, so that
// an argument like `"&calc.exe` runs a second program (CVE-2024-24576, "BatBadBut"). Go's os/exec quotes
// for C programs only (golang/go#27199). And what is quoted once may be unquoted by the batch file,
// which often passes its arguments on: so whatever could mean something to cmd.exe is refused.
const batchMeta = "%!^&|<>()\""

// maxBatchLine is cmd.exe's limit in characters (learn.microsoft.com: "Command prompt line string limitation").
const maxBatchLine = 8191

// isBatch says whether Windows would run the file by cmd.exe. Windows drops dots and blanks at the end
// of a name (CVE-2024-43402), and reads "x.cmd::$DATA" as x.cmd.
func isBatch(path string) bool {
	name := path[strings.LastIndexAny(path, `\/`)+1:]
	name, _, _ = strings.Cut(name, ":")
	name = strings.ToLower(strings.TrimRight(name, ". "))
	return strings.HasSuffix(name, ".bat") || strings.HasSuffix(name, ".cmd")
}

// batchCommandLine is the command line with which cmd.exe runs script with args. /d skips AutoRun
// commands, /e:on and /v:off set the syntax that the check counts on, whatever the registry says, and
// /s makes cmd.exe take off exactly the outermost quotes.
func batchCommandLine(shell, script string, args []string) (string, error) {
	if strings.ContainsFunc(script, func(r rune) bool { return r < ' ' || strings.ContainsRune(`%!"`, r) }) {
		return "", fmt.Errorf(`%w: path holds one of %% ! " or a control character`, ErrNotExecutable)
	}
	if err := checkBatchArgs(args); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `"%s" /d /e:on /v:off /s /c ""%s"`, shell, script)
	for _, a := range args {
		b.WriteString(" " + quoteBatchArg(a))
	}
	b.WriteString(`"`)
	if b.Len() > maxBatchLine {
		return "", fmt.Errorf("%w: its command line is longer than the %d characters that cmd.exe takes", ErrNotExecutable, maxBatchLine)
	}
	return b.String(), nil
}

func checkBatchArgs(args []string) error {
	for i, a := range args {
		if strings.ContainsFunc(a, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(batchMeta, r) }) {
			return fmt.Errorf("args[%d]: %w: it holds a control character or one of %s, and cmd.exe, which runs .cmd and .bat files, would act on it",
				i, ErrBatchArgument, batchMeta)
		}
	}
	return nil
}

// quoteBatchArg quotes an argument that passed the check, for cmd.exe and for the C program that the
// batch file may pass it on to. Plain ones stay bare, as batch files compare them so.
func quoteBatchArg(a string) string {
	if a != "" && !strings.ContainsFunc(a, needsQuote) {
		return a
	}
	trailing := len(a) - len(strings.TrimRight(a, `\`))
	return `"` + a + strings.Repeat(`\`, trailing) + `"` // a C program reads \" as a quote
}

func needsQuote(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune(`#$*+-./:?@\_`, r)
}
