package frame

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// newRegion asks the system for memory; where it will not give any, as under some limits, it is Go's.
func newRegion(size int) *region {
	address, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE|windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		return &region{bytes: make([]byte, size)}
	}
	start := *(**byte)(unsafe.Pointer(&address)) // no memory of Go's: vet cannot know
	return &region{bytes: unsafe.Slice(start, size), system: true}
}

// free gives the memory back; what is Go's goes by itself.
func (r *region) free() {
	if r.system {
		_ = windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(r.bytes))), 0, windows.MEM_RELEASE)
	}
}
