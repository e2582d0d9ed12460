package frame

// Spare is the size of the memory that m keeps for the next large message.
func (m *Memory) Spare() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spare == nil {
		return 0
	}
	return len(m.spare.bytes)
}

// KeepTime is how long it is kept.
const KeepTime = keepTime
