//go:build unix

// Command blk runs a command and copies its stdio, over blocking descriptors, without looking at a byte: the least that
// a process in the middle can cost. A relay written in C measures the same.
package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	theirIn, in, err := pipe()
	check(err)
	out, theirOut, err := pipe()
	check(err)
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, os.Stderr
	check(cmd.Start())
	theirIn.Close()
	theirOut.Close()
	go pump(in, os.Stdin)
	pump(os.Stdout, out)
	cmd.Wait()
}

// pipe makes a pipe of two blocking ends, which the Go runtime's poller does not know of.
func pipe() (r, w *os.File, err error) {
	var p [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := syscall.Pipe(p[:]); err != nil {
		return nil, nil, err
	}
	syscall.CloseOnExec(p[0])
	syscall.CloseOnExec(p[1])
	return os.NewFile(uintptr(p[0]), "read end"), os.NewFile(uintptr(p[1]), "write end"), nil
}

// pump is a plain loop: io.Copy would try splice, which is slower here.
func pump(w io.WriteCloser, r io.Reader) {
	defer w.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := r.Read(buffer)
		if _, werr := w.Write(buffer[:n]); errors.Join(err, werr) != nil {
			return
		}
	}
}

func check(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(127)
	}
}
