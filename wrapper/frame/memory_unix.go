//go:build unix

package frame

import "syscall"

// newRegion asks the system for memory; where it will not give any, as under some limits, it is Go's.
func newRegion(size int) *region {
	bytes, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return &region{bytes: make([]byte, size)}
	}
	return &region{bytes: bytes, system: true}
}

// free gives the memory back; what is Go's goes by itself.
func (r *region) free() {
	if r.system {
		_ = syscall.Munmap(r.bytes)
	}
}
