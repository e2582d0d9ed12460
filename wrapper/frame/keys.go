package frame

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// keySets holds the keys of all open objects of one message, to find a repeated one. Keys are not copied: a key is
// known by where its text begins in the line, or in the arena when its text had to be made (unescaped or folded).
//
// Rows of one shape repeat their keys in the same order. So a level still knows the keys of the object that was there
// before: as long as an object's keys are the same ones, none of them is repeated, and nothing need be searched.
// Otherwise an object of few keys is searched one by one; one of many gets a hash table with a seed of this process,
// so that nobody can choose keys that collide. Equality is always decided on the keys' bytes. The work is linear in
// the message, and memory is at most 40 bytes a key of an open object (56 while a table grows), beside the arena and
// what is remembered of objects that are closed.
type keySets struct {
	levels []keyLevel // of objects open, and of those that were
	open   int        // how many are open
	arena  []byte
	spare  []*keyTable
}

// keyLevel holds the keys of the object that is open on one level of objects in objects, and remembers those of the
// last one that was.
type keyLevel struct {
	keys  []seenKey // all different; none of them in the arena behind the first count
	count int       // how many of them are the open object's: all of its keys, when it has no table
	table *keyTable // its keys when they are many
	arena int       // length of the arena when it opened
}

// seenKey is a key and what is cheap to compare of it.
type seenKey struct {
	print uint64
	keyRef
}

// keyRef locates a key's text.
type keyRef struct {
	from   uint32
	length uint32
}

const (
	// fewKeys is how many keys are compared one by one.
	fewKeys = 16
	// maxRemembered limits how many keys of an object are remembered for the next one.
	maxRemembered = 128
	// inArena marks a keyRef.from that counts in the arena (see mostMax).
	inArena = 1 << 31
	// shortKey is the longest key whose print is the key as it stands in a line, with its quotes and a colon.
	shortKey = 5
	// longKey marks a print that is not the whole key.
	longKey = 1 << 63
	// maxSpareSlots limits the tables kept for the next object, maxSpare their number.
	maxSpareSlots = 4096
	maxSpare      = 4
	// maxSpareLevels limits the levels kept for the next message.
	maxSpareLevels = 32
	// maxSpareArena limits the arena kept for the next message, in bytes.
	maxSpareArena = 64 << 10
)

var keySeed = maphash.MakeSeed()

// reset forgets all keys, and gives back memory that a large message needed.
func (k *keySets) reset() {
	if len(k.levels) > maxSpareLevels {
		k.levels = nil
	}
	for i := range k.levels {
		l := &k.levels[i]
		l.keys, l.table = l.keys[:0], nil
	}
	k.open = 0
	k.arena = k.arena[:0]
	if cap(k.arena) > maxSpareArena {
		k.arena = nil
	}
}

// push opens an object.
func (k *keySets) push() {
	if k.full() {
		k.levels = append(k.levels, keyLevel{})
	}
	k.next()
}

// full reports whether no level is left for one more object.
func (k *keySets) full() bool { return k.open == len(k.levels) }

// next opens an object on the next level.
func (k *keySets) next() *keyLevel {
	l := &k.levels[k.open]
	l.count, l.arena = 0, len(k.arena)
	k.open++
	return l
}

// pop closes the innermost object.
func (k *keySets) pop() {
	if k.untidy() {
		k.tidy()
	}
	k.open--
}

// untidy reports whether the innermost object is an unusual one, with a table or keys in the arena.
func (k *keySets) untidy() bool {
	l := k.top()
	return l.table != nil || l.arena != len(k.arena)
}

// tidy ends what an unusual object needed.
func (k *keySets) tidy() {
	l := k.top()
	if l.arena != len(k.arena) {
		k.arena = k.arena[:l.arena]
		l.keys = l.keys[:0]
	}
	if l.table != nil {
		k.giveBack(l.table)
		l.table = nil
	}
}

// top returns the level of the innermost object.
func (k *keySets) top() *keyLevel { return &k.levels[k.open-1] }

// add adds a key to the innermost object and reports whether it was there. The key's text lies at ref in line or
// in the arena.
func (k *keySets) add(line []byte, print uint64, ref keyRef) bool {
	l, key := k.top(), seenKey{print, ref}
	if l.count < len(l.keys) {
		if k.same(line, &l.keys[l.count], &key) {
			l.count++
			return false
		}
		l.keys = l.keys[:l.count]
	}
	if l.count >= fewKeys {
		return k.addToTable(line, l, key)
	}
	for i := range l.keys {
		if l.keys[i].print == print && k.same(line, &l.keys[i], &key) {
			return true
		}
	}
	l.append(key)
	return false
}

// same reports whether two keys are equal.
func (k *keySets) same(line []byte, a, b *seenKey) bool {
	return a.print == b.print && (a.print < longKey || bytes.Equal(k.text(line, a.keyRef), k.text(line, b.keyRef)))
}

// append adds a key of the open object to those that are remembered, of which none is another's.
func (l *keyLevel) append(key seenKey) {
	l.keys = append(l.keys, key)
	l.count++
}

// remember is add where nobody asks for repeated keys.
func (k *keySets) remember(line []byte, print uint64, ref keyRef) {
	l, key := k.top(), seenKey{print, ref}
	if l.count < len(l.keys) {
		if k.same(line, &l.keys[l.count], &key) {
			l.count++
			return
		}
		l.keys = l.keys[:l.count]
	}
	if l.count < maxRemembered {
		l.append(key)
	}
}

// addToTable is add for an object of many keys.
func (k *keySets) addToTable(line []byte, l *keyLevel, key seenKey) bool {
	if l.table == nil {
		l.table = k.takeTable()
		for _, other := range l.keys {
			l.table.insert(hashKey(k.text(line, other.keyRef)), other.keyRef)
		}
	}
	text := k.text(line, key.keyRef)
	hash := hashKey(text)
	t := l.table
	for i := t.home(hash); t.slots[i].used(); i = t.after(i) {
		s := &t.slots[i]
		if s.hash == hash && s.ref.length == key.length && bytes.Equal(k.text(line, s.ref), text) {
			return true
		}
	}
	t.insert(hash, key.keyRef)
	if l.count < maxRemembered {
		l.append(key)
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

// memberMask has the bits of a short key's print, by its length.
var memberMask = [shortKey + 1]uint64{1<<24 - 1, 1<<32 - 1, 1<<40 - 1, 1<<48 - 1, 1<<56 - 1, 1<<64 - 1}

// printOf returns the print of a key.
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
	return wordPrint(word, n)
}

// wordPrint returns the print of a key of n bytes, at most 7, which are the low bytes of word.
func wordPrint(word uint64, n int) uint64 {
	if n > shortKey {
		return word | longKey
	}
	return '"' | (word|('"'|':'<<8)<<(8*n&63))<<8
}

func hashKey(key []byte) uint32 { return uint32(maphash.Bytes(keySeed, key) >> 32) }
