package crew

// Place is the room of one claim that has entered: its own, or given to others while the claim rests.
type Place struct {
	room  *Room
	rests bool // guarded by the room's lock
}

// Place returns that of a claim that has entered.
func (r *Room) Place() *Place { return &Place{room: r} }

// Rest is that of [bus.Yielder].
func (p *Place) Rest() (resume func() bool) {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()

	if !p.rests {
		p.rests = true
		p.room.taken--
		p.room.resting++
		p.room.signal()
	}

	return func() bool { return p.resume(false) }
}

// End takes the place again whether there is room or not, for a claim that is over: whoever has entered leaves.
func (p *Place) End() { p.resume(true) }

func (p *Place) resume(always bool) bool {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()

	if !p.rests {
		return true
	}

	if p.room.taken >= p.room.limit && !always {
		return false
	}

	p.rests = false
	p.room.taken++
	p.room.resting--

	return true
}
