// Package proc runs a child and all it starts, and ends all of it.
package proc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Sentinels of Resolve, Start and Detach. A shell gives the exit codes 127 and 126 for the first two.
var (
	// ErrNotFound says that there is no such program.
	ErrNotFound = errors.New("program not found")
	// ErrNotExecutable says that the program exists and the operating system cannot, or may not, run it.
	ErrNotExecutable = errors.New("cannot be executed")
	// ErrBatchArgument says that an argument for a Windows batch file would be read as cmd.exe syntax.
	ErrBatchArgument = errors.New("argument not safe for a batch file")
)

// closeLimit bounds how long Close waits for a child that got SIGKILL: one that hangs in the kernel
// (a dead network file system) cannot be waited for.
const closeLimit = 500 * time.Millisecond

// Spec says what to start.
type Spec struct {
	Path string   // absolute, as Resolve gives it
	Args []string // without the program's own name
	Env  []string // the whole environment, "NAME=value"; nil is an empty one, never ours
	Dir  string   // working directory; "" is ours for Start, the root directory for Detach
}

// Process is a child and all it starts. Its methods may be called from any goroutine.
// Whoever called Start must call Close in the end.
type Process struct {
	stdin          *writeEnd
	stdout, stderr *readEnd

	tree    tree
	exit    int           // set before done is closed
	done    chan struct{} // the direct child has ended
	closing chan struct{} // Close was called
	closed  chan struct{} // the tree is dead and reaped

	closeOnce sync.Once
	closeErr  error
}

// Start starts a child with pipes for its three standard streams.
//
// On Unix the child leads a process group of its own, and on Linux the kernel kills it when we die
// (PR_SET_PDEATHSIG). Out of reach, on every Unix: descendants that made a session or group of their
// own, and, when we are killed by SIGKILL, grandchildren that do not heed the end of their stdin.
// On Windows the child is suspended until it is in a Job Object that dies with us; nothing it starts
// can leave that job.
//
// Errors wrap ErrNotFound, ErrNotExecutable or ErrBatchArgument; they name arguments by their index only.
func Start(s Spec) (*Process, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("starting %q: %w", s.Path, err)
	}
	p := &Process{done: make(chan struct{}), closing: make(chan struct{}), closed: make(chan struct{}), exit: -1}
	theirs, err := p.openPipes()
	if err != nil {
		return nil, fmt.Errorf("starting %q: making pipes: %w", s.Path, err)
	}
	started := make(chan error)
	go p.run(s, theirs, started) // ends before Close returns
	err = <-started
	for _, f := range theirs {
		_ = f.Close() // the child has its own copies; nothing was written through ours
	}
	if err != nil {
		p.closePipes()
		return nil, fmt.Errorf("starting %q: %w", s.Path, explain(s.Path, err))
	}
	return p, nil
}

// run starts the child, waits for it and, once Close was called, ends what is left.
//
// It keeps its thread for as long as the child lives: Linux binds PR_SET_PDEATHSIG to the thread that
// forked, and a child whose thread ends is killed although we live on (golang/go#27505).
func (p *Process) run(s Spec, theirs []*os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := p.tree.start(s, theirs)
	started <- err
	if err != nil {
		return
	}
	p.exit = p.tree.wait()
	close(p.done)
	<-p.closing
	p.tree.end()
	close(p.closed)
}

// Stdin is the child's standard input. Close ends a Write under way, which then gives os.ErrClosed;
// Write gives an error of its own when the child no longer reads.
func (p *Process) Stdin() io.WriteCloser { return p.stdin }

// Stdout is the child's standard output. It ends (io.EOF) when all writers have, or with Close:
// what already lay in the pipe can still be read then, and nothing after it.
func (p *Process) Stdout() io.Reader { return p.stdout }

// Stderr is the child's standard error; it ends as Stdout does.
func (p *Process) Stderr() io.Reader { return p.stderr }

// Done is closed when the direct child has ended. Others of its tree may still run, and hold Stdout open.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is the direct child's exit code: 128+n when signal n ended it, on Windows the code as the
// child gave it (NTSTATUS values included), and -1 before Done.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
		return p.exit
	default:
		return -1
	}
}

// Terminate asks the whole tree to end; Kill is for those that do not. On Unix it sends SIGTERM to
// the group. A Windows child without a console cannot be sent anything, so there its stdin is closed:
// the end that every MCP server must heed. It does nothing once the tree has ended.
func (p *Process) Terminate() error { return p.terminate() }

// Kill ends the whole tree by force. It does not wait (see Done), and does nothing once the tree has ended.
func (p *Process) Kill() error { return p.tree.kill() }

// Close kills what is left of the tree, gives Stdin, Stdout and Stderr their end and frees all that
// Start took. It is meant for after Done; before, it kills the child too. It returns within half a second,
// with an error if the child was still not gone then. Further calls give the same result.
func (p *Process) Close() error {
	p.closeOnce.Do(func() {
		close(p.closing)
		err := p.tree.kill()
		limit := time.NewTimer(closeLimit)
		defer limit.Stop()
		select {
		case <-p.closed:
			err = nil
		case <-limit.C:
			err = errors.Join(errors.New("child still there after being killed"), err)
		}
		p.closePipes()
		p.closeErr = err
	})
	return p.closeErr
}

// openPipes makes the three pipes; theirs are the child's ends, in the order of descriptors.
func (p *Process) openPipes() (theirs []*os.File, err error) {
	var ours [3]*pipeEnd
	for fd := range ours {
		our, their, err := newPipe(fd == 0)
		if err != nil {
			for i, f := range theirs {
				_ = f.Close() // never used
				ours[i].close()
			}
			return nil, err
		}
		ours[fd], theirs = our, append(theirs, their)
	}
	p.stdin = &writeEnd{pipe: ours[0]}
	p.stdout, p.stderr = newReadEnd(ours[1]), newReadEnd(ours[2])
	return theirs, nil
}

func (p *Process) closePipes() {
	_ = p.stdin.Close() // never fails
	p.stdout.stop()
	p.stderr.stop()
}

// check refuses what no operating system can start, so that the reason is not a bare EINVAL.
func (s Spec) check() error {
	if !filepath.IsAbs(s.Path) {
		return fmt.Errorf("%w: path is not absolute", ErrNotFound)
	}
	for i, a := range s.Args {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("args[%d] holds a NUL byte: %w", i, ErrNotExecutable)
		}
	}
	if s.Dir == "" {
		return nil
	}
	info, err := os.Stat(s.Dir)
	if err != nil {
		return fmt.Errorf("working directory %q: %w: %w", s.Dir, ErrNotExecutable, bare(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("working directory %q is not a directory: %w", s.Dir, ErrNotExecutable)
	}
	return nil
}

// explain gives a failed start its sentinel.
func explain(path string, err error) error {
	cause := bare(err)
	if errors.Is(err, ErrBatchArgument) || errors.Is(err, ErrNotExecutable) {
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNotExecutable, cause)
	}
	// The kernel says "no such file" for the interpreter or loader of a file, too.
	if _, statErr := os.Stat(path); statErr == nil {
		return fmt.Errorf("%w: its interpreter is missing: %w", ErrNotExecutable, cause)
	}
	return ErrNotFound
}

// bare takes the operation and path off an error that names them already.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
