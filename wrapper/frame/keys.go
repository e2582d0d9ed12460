package frame

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// keySets holds the keys of all open objects of one message, to find a repeated one. Keys are not copied: a key is
// known by where its text begins in the line, or in the arena when its text had to be made (unescaped or folded).
//
// An object of few keys is searched one by one; one of many gets a hash table with a seed of this process, so that
// nobody can choose keys that collide. Equality is always decided on the keys' bytes. The work is linear in the
// message, and memory is at most 24 bytes a key of an open object (40 while a table grows), beside the arena.
type keySets struct {
	prints []uint64 // what is cheap to compare of a key, of all small open objects
	refs   []keyRef // where those keys are
	open   []openObject
	arena  []byte
	spare  []keyTable
}

// openObject is what one open object holds of keySets.
type openObject struct {
	first int // its first key in prints and refs
	arena int // length of the arena when it opened
	table keyTable
}

// keyRef locates a key's text.
type keyRef struct {
	from   uint32
	length uint32
}

const (
	// fewKeys is how many keys are compared one by one.
	fewKeys = 16
	// inArena marks a keyRef.from that counts in the arena; a line is shorter than 2 GiB (see NewReader).
	inArena = 1 << 31
	// longKey marks a print that is not the whole key; a short key's print has its length (0 to 7) there.
	longKey = 1 << 63
	// maxSpareSlots limits the tables kept for the next object, maxSpare their number.
	maxSpareSlots = 4096
	maxSpare      = 4
)

var keySeed = maphash.MakeSeed()

// reset forgets all keys, and gives back memory that a large message needed.
func (k *keySets) reset() {
	k.prints, k.refs = k.prints[:0], k.refs[:0]
	clear(k.open) // drops tables
	k.open = k.open[:0]
	k.arena = k.arena[:0]
	if cap(k.arena) > 64<<10 {
		k.arena = nil
	}
}

// push opens an object.
func (k *keySets) push() {
	k.open = append(k.open, openObject{first: len(k.prints), arena: len(k.arena)})
}

// pop closes the innermost object.
func (k *keySets) pop() {
	last := len(k.open) - 1
	o := &k.open[last]
	k.prints, k.refs = k.prints[:o.first], k.refs[:o.first]
	k.arena = k.arena[:o.arena]
	if o.table.slots != nil {
		k.giveBack(o.table)
		o.table = keyTable{}
	}
	k.open = k.open[:last]
}

// shortPrint returns the print of a key of at most 7 bytes, which are the low bytes of word.
func shortPrint(word uint64, length int) uint64 {
	return word&(1<<(8*length)-1) | uint64(length)<<56
}

// printOf returns the print of any key.
func printOf(key []byte) uint64 {
	n := len(key)
	if n >= 8 {
		head, tail := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:])
		return (head*0x9E3779B97F4A7C15 ^ tail + uint64(n)) | longKey
	}
	var word uint64
	for i, c := range key {
		word |= uint64(c) << (8 * i)
	}
	return shortPrint(word, n)
}

// add adds a key to the innermost object and reports whether it was there. The key's text lies at ref in line or
// in the arena.
func (k *keySets) add(line []byte, print uint64, ref keyRef) bool {
	o := &k.open[len(k.open)-1]
	if o.table.slots != nil {
		return k.addToTable(o, line, ref)
	}
	for i, p := range k.prints[o.first:] {
		if p == print && (p < longKey || bytes.Equal(k.text(line, ref), k.text(line, k.refs[o.first+i]))) {
			return true
		}
	}
	k.prints = append(k.prints, print)
	k.refs = append(k.refs, ref)
	if len(k.prints)-o.first > fewKeys {
		k.makeTable(o, line)
	}
	return false
}

// keep puts a key's text into the arena.
func (k *keySets) keep(text []byte) keyRef {
	from := len(k.arena)
	k.arena = append(k.arena, text...)
	return keyRef{inArena | uint32(from), uint32(len(text))}
}

// text returns the text of a key.
func (k *keySets) text(line []byte, r keyRef) []byte {
	if r.from&inArena != 0 {
		from := r.from &^ inArena
		return k.arena[from : from+r.length]
	}
	return line[r.from : r.from+r.length]
}

// makeTable moves the keys of an object that has become large into a table.
func (k *keySets) makeTable(o *openObject, line []byte) {
	o.table = k.takeTable()
	for _, r := range k.refs[o.first:] {
		o.table.insert(hashKey(k.text(line, r)), r)
	}
	k.prints, k.refs = k.prints[:o.first], k.refs[:o.first]
}

func (k *keySets) addToTable(o *openObject, line []byte, ref keyRef) bool {
	key := k.text(line, ref)
	hash := hashKey(key)
	t := &o.table
	for i := t.home(hash); t.slots[i].used(); i = t.after(i) {
		s := &t.slots[i]
		if s.hash == hash && s.ref.length == ref.length && bytes.Equal(k.text(line, s.ref), key) {
			return true
		}
	}
	t.insert(hash, ref)
	return false
}

func (k *keySets) takeTable() keyTable {
	if n := len(k.spare); n > 0 {
		t := k.spare[n-1]
		k.spare = k.spare[:n-1]
		return t
	}
	return newTable(8 * fewKeys)
}

func (k *keySets) giveBack(t keyTable) {
	if len(t.slots) > maxSpareSlots || len(k.spare) == maxSpare {
		return
	}
	clear(t.slots)
	t.count = 0
	k.spare = append(k.spare, t)
}

func hashKey(key []byte) uint32 { return uint32(maphash.Bytes(keySeed, key) >> 32) }
