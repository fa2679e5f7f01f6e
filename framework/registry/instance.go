package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/monitor"
	"github.com/woodwork-go/woodwork/subjects"
)

// Instance is what one running instance of a component says of itself. Whoever receives one must not change what its
// maps and slices hold.
type Instance struct {
	Report

	// ID tells it from other instances of the component; an id as package subjects defines it.
	ID string `json:"id"`
	// Component is the component's name.
	Component string `json:"component"`
	// Type is what kind of component it is, such as "llm"; empty when nobody said.
	Type string `json:"type,omitempty"`
	// Capabilities are what it can do, in words of the application.
	Capabilities []string `json:"capabilities,omitempty"`
	// Version of its program.
	Version string `json:"version,omitempty"`
	// Started is when it started, by its own clock.
	Started time.Time `json:"started"`
	// Host and PID are where it runs.
	Host string `json:"host,omitempty"`
	PID  int    `json:"pid,omitempty"`
	// Endpoint is where its health can be asked for; empty when it has no such address.
	Endpoint string `json:"endpoint,omitempty"`
	// Limits are bounds of its own choice, by name.
	Limits map[string]int64 `json:"limits,omitempty"`
	// State is what it is doing.
	State State `json:"state"`
	// Beat counts its heartbeats, from 1.
	Beat uint64 `json:"beat"`
	// TTL is for how many seconds the entry lasts after a heartbeat.
	TTL int `json:"ttl_seconds"`
	// Run is a random name of this run of its process, which tells two that claim one ID apart.
	Run string `json:"run"`
}

// Report is the part of an [Instance] that changes from heartbeat to heartbeat.
type Report struct {
	// Load is how busy it is.
	Load Load `json:"load"`
	// Stats counts what it has done.
	Stats Stats `json:"stats"`
	// Lately says how its work went in the last minutes.
	Lately monitor.Report `json:"lately"`
	// Breakers are its circuit breakers; of very many those first about which there is something to say.
	Breakers []breaker.Status `json:"breakers,omitempty"`
	// Problem says in one line what is wrong; empty when nothing is.
	Problem string `json:"problem,omitempty"`
	// Connection says how its connection to the bus does. While that is down it can't tell anybody: what others see is
	// since when it is up again, how often it was lost, and why it was the last time.
	Connection bus.Connection `json:"connection"`
	// Backlog says how far the instances of its component are behind together, as it was told for this heartbeat or the
	// one before; nil when it takes no turns or was not told.
	Backlog *bus.Backlog `json:"backlog,omitempty"`
}

// Load is how busy an instance is.
type Load struct {
	// Running is how many turns it works on.
	Running int `json:"running"`
	// Limit is how many it takes at once; 0 when it takes none or did not say.
	Limit int `json:"limit"`
}

// Full reports whether it takes no more for now.
func (l Load) Full() bool { return l.Limit > 0 && l.Running >= l.Limit }

// share is the load for comparison.
func (l Load) share() float64 { return float64(l.Running) / float64(max(l.Limit, 1)) }

// Stats counts what an instance has done since it started.
type Stats struct {
	// Turns is how many attempts it has finished, and Errors how many of them ended with an error.
	Turns  uint64 `json:"turns"`
	Errors uint64 `json:"errors"`
	// Busy is how long they took together.
	Busy time.Duration `json:"busy_ns"`
}

// Has reports whether the instance has a capability.
func (i *Instance) Has(capability string) bool { return slices.Contains(i.Capabilities, capability) }

// String names the instance as "component/id".
func (i *Instance) String() string {
	return bus.Endpoint{Component: i.Component, Instance: i.ID}.String()
}

// errKey: the entry is not where its own content belongs.
var errKey = errors.New("its key and its content differ")

// decode reads an entry of the registry. Fields that a newer program added are ignored.
func decode(e bus.KVEntry) (Instance, error) {
	var i Instance
	if err := json.Unmarshal(e.Value, &i); err != nil {
		return i, fmt.Errorf("decode entry %s of the registry: %w", e.Key, err)
	}

	if c, id, ok := subjects.ParseInstanceKey(e.Key); !ok || c != i.Component || id != i.ID {
		return i, fmt.Errorf("decode entry %s of the registry: %w", e.Key, errKey)
	}

	return i, nil
}

// same reports whether two entries of one instance differ in nothing but what changes with each heartbeat.
func same(a, b Instance) bool {
	return a.State == b.State && a.Problem == b.Problem && a.Version == b.Version && a.Type == b.Type &&
		a.Endpoint == b.Endpoint && slices.Equal(a.Capabilities, b.Capabilities) &&
		maps.Equal(conditions(a.Breakers), conditions(b.Breakers)) && maps.Equal(a.Limits, b.Limits)
}

// conditions are those of the breakers about which there is something to say, by name.
func conditions(all []breaker.Status) map[string]string {
	unusual := map[string]string{}

	for _, s := range all {
		if !s.Usual() {
			unusual[s.Name] = s.Condition()
		}
	}

	return unusual
}
