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
	arena  []byte
	inner  openObject   // the innermost open object
	outer  []openObject // those around it
	spare  []*keyTable
}

// openObject is what one open object holds of keySets.
type openObject struct {
	first uint32    // its first key in prints and refs
	arena uint32    // length of the arena when it opened
	table *keyTable // its keys when they are many
}

// keyRef locates a key's text.
type keyRef struct {
	from   uint32
	length uint32
}

const (
	// fewKeys is how many keys are compared one by one.
	fewKeys = 16
	// inArena marks a keyRef.from that counts in the arena (see mostMax).
	inArena = 1 << 31
	// longKey marks a print that is not the whole key; a short key's print has its length (0 to 7) there.
	longKey = 1 << 63
	// maxSpareSlots limits the tables kept for the next object, maxSpare their number.
	maxSpareSlots = 4096
	maxSpare      = 4
	// maxSpareArena limits the arena kept for the next message, in bytes.
	maxSpareArena = 64 << 10
)

var keySeed = maphash.MakeSeed()

// reset forgets all keys, and gives back memory that a large message needed.
func (k *keySets) reset() {
	k.prints, k.refs = k.prints[:0], k.refs[:0]
	k.inner = openObject{}
	clear(k.outer) // lets go of tables
	k.outer = k.outer[:0]
	k.arena = k.arena[:0]
	if cap(k.arena) > maxSpareArena {
		k.arena = nil
	}
}

// push opens an object.
func (k *keySets) push() {
	k.outer = append(k.outer, k.inner)
	k.inner = openObject{first: uint32(len(k.prints)), arena: uint32(len(k.arena))}
}

// pop closes the innermost object.
func (k *keySets) pop() {
	o := &k.inner
	k.prints, k.refs = k.prints[:o.first], k.refs[:o.first]
	k.arena = k.arena[:o.arena]
	if o.table != nil {
		k.giveBack(o.table)
	}
	last := len(k.outer) - 1
	k.inner = k.outer[last]
	k.outer = k.outer[:last]
}

// add adds a key to the innermost object and reports whether it was there. The key's text lies at ref in line or
// in the arena.
func (k *keySets) add(line []byte, print uint64, ref keyRef) bool {
	if k.inner.table != nil {
		return k.addToTable(line, ref)
	}
	prints := k.prints[k.inner.first:]
	for i, p := range prints {
		if p == print && (p < longKey || bytes.Equal(k.text(line, ref), k.text(line, k.refs[int(k.inner.first)+i]))) {
			return true
		}
	}
	k.prints = append(k.prints, print)
	k.refs = append(k.refs, ref)
	if len(prints) == fewKeys {
		k.makeTable(line)
	}
	return false
}

// made returns the text that was added to the arena from a position on.
func (k *keySets) made(from int) (text []byte, ref keyRef) {
	text = k.arena[from:]
	return text, keyRef{inArena | uint32(from), uint32(len(text))}
}

// text returns the text of a key.
func (k *keySets) text(line []byte, r keyRef) []byte {
	if r.from&inArena != 0 {
		from := r.from &^ inArena
		return k.arena[from : from+r.length]
	}
	return line[r.from : r.from+r.length]
}

// makeTable moves the keys of the innermost object, which has become large, into a table.
func (k *keySets) makeTable(line []byte) {
	first := k.inner.first
	k.inner.table = k.takeTable()
	for _, r := range k.refs[first:] {
		k.inner.table.insert(hashKey(k.text(line, r)), r)
	}
	k.prints, k.refs = k.prints[:first], k.refs[:first]
}

func (k *keySets) addToTable(line []byte, ref keyRef) bool {
	key := k.text(line, ref)
	hash := hashKey(key)
	t := k.inner.table
	for i := t.home(hash); t.slots[i].used(); i = t.after(i) {
		s := &t.slots[i]
		if s.hash == hash && s.ref.length == ref.length && bytes.Equal(k.text(line, s.ref), key) {
			return true
		}
	}
	t.insert(hash, ref)
	return false
}

func (k *keySets) takeTable() *keyTable {
	if n := len(k.spare); n > 0 {
		t := k.spare[n-1]
		k.spare = k.spare[:n-1]
		return t
	}
	return newTable(8 * fewKeys)
}

func (k *keySets) giveBack(t *keyTable) {
	if len(t.slots) > maxSpareSlots || len(k.spare) == maxSpare {
		return
	}
	clear(t.slots)
	t.count = 0
	k.spare = append(k.spare, t)
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

func hashKey(key []byte) uint32 { return uint32(maphash.Bytes(keySeed, key) >> 32) }
