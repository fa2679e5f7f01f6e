package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/bench/report"
)

func TestTargets(t *testing.T) {
	t.Parallel()

	r := report.New("a machine", time.Time{})
	r.Set("hop_latency_p50_vs_raw", 1.2)
	r.Set("stream_throughput_vs_raw_async", 4)
	r.Add("one hop", "Woodwork", report.Figure{Name: "p50 µs", Value: 39.3})

	var table bytes.Buffer
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"Woodwork", "39.3", "≤ 1.3", "met", "≥ 5", "missed"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}

	var raw bytes.Buffer
	if err := r.TargetsJSON(&raw); err != nil {
		t.Fatal(err)
	}

	var got []map[string]any
	if err := json.Unmarshal(raw.Bytes(), &got); err != nil || len(got) != 17 {
		t.Fatalf("%d targets, %v", len(got), err)
	}

	for _, key := range []string{"name", "value", "unit", "target", "better"} {
		if _, ok := got[0][key]; !ok {
			t.Errorf("a target lacks %q: %v", key, got[0])
		}
	}

	if got[1]["value"] != nil {
		t.Errorf("a target that was not measured has the value %v", got[1]["value"])
	}
}

func TestPlotIsSVG(t *testing.T) {
	t.Parallel()

	for name, curves := range map[string][]report.Curve{
		"none":    nil,
		"one dot": {{Name: "<a & b>", Points: []report.Point{{X: 1, Y: 0}}}},
		"two": {
			{Name: "a", Points: []report.Point{{X: 1, Y: 3}, {X: 100000, Y: 7}}},
			{Name: "b", Points: []report.Point{{X: 10, Y: 0.01}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var out bytes.Buffer

			p := report.Plot{Title: "t", X: "x", Y: "y", Curve: curves}
			if err := p.SVG(&out); err != nil {
				t.Fatal(err)
			}

			if strings.Contains(out.String(), "NaN") || strings.Contains(out.String(), "Inf") {
				t.Errorf("coordinates that are no numbers:\n%s", out.String())
			}

			for d := xml.NewDecoder(&out); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
