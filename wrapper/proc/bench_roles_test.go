package proc_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"

	"mcp-valet/wrapper/proc"
)

func init() {
	roles["middle proc"] = func([]string) {
		p := must(proc.Start(spec("line")))
		go lines(p.Stdin(), os.Stdin)
		lines(os.Stdout, p.Stdout())
		must(0, p.Close())
	}
	roles["middle os/exec"] = func([]string) {
		s := spec("line")
		cmd := exec.Command(s.Path)
		cmd.Env = s.Env
		in, out := must(cmd.StdinPipe()), must(cmd.StdoutPipe())
		must(0, cmd.Start())
		go lines(in, os.Stdin)
		lines(os.Stdout, out)
		must(0, cmd.Wait())
	}
	roles["line"] = func([]string) { lines(os.Stdout, os.Stdin) }
}

// lines copies whole lines, as servers and the launcher do.
func lines(w io.WriteCloser, r io.Reader) {
	defer w.Close()
	in := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if _, werr := w.Write(line); err != nil || werr != nil {
			return
		}
		line = line[:0]
	}
}
