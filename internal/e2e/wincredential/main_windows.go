// Command wincredential prints an item of the Credential Manager as it lies there, for the tests on Windows. It asks
// Windows itself, so that it does not share a mistake with the keyring package. Exit code 3: there is none.
package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// credential is the beginning of the system's CREDENTIALW.
type credential struct {
	_    [2]uint32 // flags, kind
	_    [2]*uint16
	_    syscall.Filetime
	size uint32
	blob *byte
}

const (
	generic  = 1 // CRED_TYPE_GENERIC
	notFound = syscall.Errno(1168)
)

func main() {
	target, err := syscall.UTF16PtrFromString(os.Args[1])
	if err != nil {
		fail(err)
	}
	var found *credential
	read := syscall.NewLazyDLL("advapi32.dll").NewProc("CredReadW")
	ok, _, err := read.Call(uintptr(unsafe.Pointer(target)), generic, 0, uintptr(unsafe.Pointer(&found)))
	switch {
	case ok == 0 && err == notFound:
		os.Exit(3)
	case ok == 0:
		fail(err)
	}
	if _, err := os.Stdout.Write(unsafe.Slice(found.blob, found.size)); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
