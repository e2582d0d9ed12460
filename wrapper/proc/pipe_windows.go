package proc

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// pipeEnd waits in ReadFile and WriteFile; CancelIoEx wakes it.
type pipeEnd struct{ handle windows.Handle }

// pipeSize is asked for because Windows gives 4 KiB where it is not.
const pipeSize = 64 << 10

// x/sys/windows lacks this one.
var peekNamedPipe = windows.NewLazySystemDLL("kernel32.dll").NewProc("PeekNamedPipe")

// newPipe makes neither end inheritable; os.StartProcess hands the child a copy that is.
func newPipe(weWrite bool) (*pipeEnd, *os.File, error) {
	var r, w windows.Handle
	if err := windows.CreatePipe(&r, &w, nil, pipeSize); err != nil {
		return nil, nil, os.NewSyscallError("CreatePipe", err)
	}
	our, their := r, w
	if weWrite {
		our, their = w, r
	}
	return &pipeEnd{handle: our}, os.NewFile(uintptr(their), "pipe"), nil
}

func (p *pipeEnd) read(b []byte) (int, error) {
	for {
		var n uint32
		err := windows.ReadFile(p.handle, b, &n, nil)
		switch {
		case n > 0:
			return int(n), nil
		case errors.Is(err, windows.ERROR_BROKEN_PIPE):
			return 0, io.EOF
		case errors.Is(err, windows.ERROR_OPERATION_ABORTED):
			return 0, errInterrupted
		case err != nil:
			return 0, os.NewSyscallError("ReadFile", err)
		}
		// The child wrote zero bytes: that is no end.
	}
}

func (p *pipeEnd) write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		var n uint32
		err := windows.WriteFile(p.handle, b[written:], &n, nil)
		written += int(n)
		switch {
		case errors.Is(err, windows.ERROR_OPERATION_ABORTED):
			return written, errInterrupted
		case err != nil:
			return written, os.NewSyscallError("WriteFile", err)
		}
	}
	return written, nil
}

func (p *pipeEnd) buffered() []byte {
	var all []byte
	for len(all) < maxBuffered {
		var waiting uint32
		ok, _, _ := peekNamedPipe.Call(uintptr(p.handle), 0, 0, 0, uintptr(unsafe.Pointer(&waiting)), 0)
		if ok == 0 || waiting == 0 {
			break
		}
		chunk := make([]byte, min(waiting, maxBuffered))
		n, err := p.read(chunk)
		if err != nil {
			break
		}
		all = append(all, chunk[:n]...)
	}
	return all
}

func (p *pipeEnd) interrupt() {
	_ = windows.CancelIoEx(p.handle, nil) // ERROR_NOT_FOUND when nothing is under way (yet)
}

func (p *pipeEnd) close() {
	_ = windows.CloseHandle(p.handle) // a pipe loses nothing by a failed close
}
