//go:build linux

package e2e

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"slices"
)

// forwardingDLL is a DLL without code, whose one function is another DLL's. Wine 8 lacks a DLL that every Go program loads.
func forwardingDLL(dll, function, target string) []byte {
	const (
		address = 0x1000 // of the one section, in memory
		align   = 0x200
	)
	section := exports(address, dll, function, target)
	size := uint32(len(section))
	var dos [0x40]byte
	copy(dos[:], "MZ")
	dos[0x3c] = byte(len(dos)) // where the next header is
	head := pe.OptionalHeader64{
		Magic: 0x20b, SizeOfInitializedData: align, ImageBase: 0x180000000, SectionAlignment: address, FileAlignment: align,
		MajorOperatingSystemVersion: 6, MajorSubsystemVersion: 6, SizeOfImage: 2 * address, SizeOfHeaders: align,
		Subsystem: pe.IMAGE_SUBSYSTEM_WINDOWS_CUI, DllCharacteristics: pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE | pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
		SizeOfStackReserve: 1 << 20, SizeOfStackCommit: 1 << 12, SizeOfHeapReserve: 1 << 20, SizeOfHeapCommit: 1 << 12,
		NumberOfRvaAndSizes: 16,
	}
	head.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.DataDirectory{VirtualAddress: address, Size: size}
	headers := packed(dos, [4]byte{'P', 'E'},
		pe.FileHeader{
			Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1, SizeOfOptionalHeader: uint16(binary.Size(head)),
			Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE | pe.IMAGE_FILE_DLL,
		},
		head,
		pe.SectionHeader32{
			Name: [8]byte{'.', 'r', 'd', 'a', 't', 'a'}, VirtualSize: size, VirtualAddress: address, SizeOfRawData: align, PointerToRawData: align,
			Characteristics: pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
		})
	return slices.Concat(padded(headers, align), padded(section, align))
}

// exports is the section with the table of exported functions. A function that lies within it is a forward's name.
func exports(address uint32, dll, function, target string) []byte {
	const tables = 40 + 4 + 4 + 4 // the directory, one function, one name, one number with what fills it up
	names := address + tables
	functions := names + uint32(len(dll)) + 1
	targets := functions + uint32(len(function)) + 1
	directory := [10]uint32{4: 1, 5: 1, 6: 1, 3: names, 7: address + 40, 8: address + 44, 9: address + 48}
	return packed(directory, targets, functions, uint32(0), []byte(dll+"\x00"+function+"\x00"+target+"\x00"))
}

func packed(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&b, binary.LittleEndian, p); err != nil {
			panic(err) // the types are fixed
		}
	}
	return b.Bytes()
}

func padded(b []byte, size int) []byte { return append(b, make([]byte, size-len(b))...) }
