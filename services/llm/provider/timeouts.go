package provider

import "time"

// Timeouts bounds how long a provider may take. The zero value works. Time in which emit blocks counts for none but Total.
type Timeouts struct {
	// FirstToken is how long the first piece of an answer may take, from dialling on. Defaults to 2 minutes, since
	// models that reason first say nothing meanwhile; negative: no bound.
	FirstToken time.Duration
	// Idle is how long the provider may send nothing at all once it has begun to answer. Defaults to 1 minute;
	// negative: no bound.
	Idle time.Duration
	// Total is how long a whole answer may take. Defaults to 15 minutes; negative: no bound.
	Total time.Duration
}

// The defaults of [Timeouts].
const (
	DefaultFirstToken = 2 * time.Minute
	DefaultIdle       = time.Minute
	DefaultTotal      = 15 * time.Minute
)

// WithDefaults returns t with its zero fields replaced by their defaults.
func (t Timeouts) WithDefaults() Timeouts {
	return Timeouts{
		FirstToken: orDefault(t.FirstToken, DefaultFirstToken),
		Idle:       orDefault(t.Idle, DefaultIdle),
		Total:      orDefault(t.Total, DefaultTotal),
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}

	return v
}
