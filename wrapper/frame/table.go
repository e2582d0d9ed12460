package frame

// keyTable is a hash table of the keys of one object: open addressing, linear probing. A slot's place is in the
// order of its hash, so that growing walks through both tables from front to back instead of jumping about.
type keyTable struct {
	slots []keySlot
	count int
}

// keySlot is one place of a keyTable, unused when its key begins at 0: no key of a JSON object does.
type keySlot struct {
	hash uint32
	ref  keyRef
}

func (s *keySlot) used() bool { return s.ref.from != 0 }

func newTable(slots int) *keyTable { return &keyTable{slots: make([]keySlot, slots)} }

// home returns the slot a hash belongs in.
func (t *keyTable) home(hash uint32) int { return int(uint64(hash) * uint64(len(t.slots)) >> 32) }

// after returns the slot to try after slot i.
func (t *keyTable) after(i int) int {
	if i++; i < len(t.slots) {
		return i
	}
	return 0
}

// insert adds a key that is not in the table.
func (t *keyTable) insert(hash uint32, ref keyRef) {
	if 5*t.count >= 4*len(t.slots) {
		t.grow()
	}
	t.place(hash, ref)
	t.count++
}

func (t *keyTable) place(hash uint32, ref keyRef) {
	i := t.home(hash)
	for t.slots[i].used() {
		i = t.after(i)
	}
	t.slots[i] = keySlot{hash, ref}
}

// grow makes the table half as large again when it is large already, for memory's sake, and four times when small.
func (t *keyTable) grow() {
	size := len(t.slots) * 4
	if len(t.slots) > maxSpareSlots {
		size = len(t.slots) + len(t.slots)/2
	}
	bigger := newTable(size)
	for _, s := range t.slots {
		if s.used() {
			bigger.place(s.hash, s.ref)
		}
	}
	t.slots = bigger.slots
}
