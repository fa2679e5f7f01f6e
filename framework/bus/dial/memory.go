package dial

import (
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

// Brokers holds the brokers of a process that keep everything in memory, by name. Buses that are opened with the same
// Brokers and name share their data, which lives as long as the Brokers, also while no bus is open. The zero value is
// ready. All methods may be called concurrently.
type Brokers struct {
	mu     sync.Mutex
	byName map[string]*membus.Broker
}

// broker returns the broker of a name.
func (b *Brokers) broker(name string) *membus.Broker {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.byName == nil {
		b.byName = make(map[string]*membus.Broker)
	}

	if b.byName[name] == nil {
		b.byName[name] = membus.NewBroker(membus.Config{})
	}

	return b.byName[name]
}
