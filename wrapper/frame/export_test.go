package frame

// Spare is the size of the memory that m keeps for the next large messages.
func (m *Memory) Spare() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	size := 0
	for _, r := range m.spare {
		size += len(r.bytes)
	}
	return size
}

// KeepTime is how long it is kept.
const KeepTime = keepTime
