package memory

import (
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

type scripts struct{ s *Store }

type scriptTables struct {
	rows     map[iot.ProductKey]store.Script
	failures map[failurePlace]store.ScriptFailure
}

func newScriptTables() scriptTables {
	return scriptTables{make(map[iot.ProductKey]store.Script), make(map[failurePlace]store.ScriptFailure)}
}

type failurePlace struct {
	key  iot.ProductKey
	slot int
}

// Scripts is the tables of parsing scripts.
func (s *Store) Scripts() store.Scripts { return scripts{s} }

func (s scripts) Get(ctx context.Context, key iot.ProductKey) (*store.Script, error) {
	end, err := s.s.begin(ctx, "scripts.get", iot.DeviceRef{ProductKey: key})
	if err != nil {
		return nil, err
	}
	defer end()
	script, ok := s.s.scripts.rows[key]
	if !ok {
		return nil, nil
	}
	return &script, nil
}

func (s scripts) Put(ctx context.Context, script *store.Script) error {
	end, err := s.s.begin(ctx, "scripts.put", iot.DeviceRef{ProductKey: script.ProductKey})
	if err != nil {
		return err
	}
	defer end()
	if s.s.scripts.rows[script.ProductKey].Revision != script.Revision {
		return iot.Errorf(iot.Conflict, "the script of product %s was changed meanwhile", script.ProductKey)
	}
	script.Revision++
	s.s.scripts.rows[script.ProductKey] = *script
	return nil
}

func (s scripts) Delete(ctx context.Context, key iot.ProductKey) error {
	end, err := s.s.begin(ctx, "scripts.delete", iot.DeviceRef{ProductKey: key})
	if err != nil {
		return err
	}
	defer end()
	delete(s.s.scripts.rows, key)
	for slot := range store.FailuresKept {
		delete(s.s.scripts.failures, failurePlace{key, slot})
	}
	return nil
}

func (s scripts) PutFailure(ctx context.Context, f *store.ScriptFailure) error {
	end, err := s.s.begin(ctx, "scripts.put_failure", iot.DeviceRef{ProductKey: f.ProductKey, DeviceName: f.DeviceName})
	if err != nil {
		return err
	}
	defer end()
	failure := *f
	failure.Input = slices.Clone(f.Input)
	s.s.scripts.failures[failurePlace{f.ProductKey, f.Slot}] = failure
	return nil
}

func (s scripts) Failures(ctx context.Context, key iot.ProductKey) ([]*store.ScriptFailure, error) {
	end, err := s.s.begin(ctx, "scripts.failures", iot.DeviceRef{ProductKey: key})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.ScriptFailure
	for place, f := range s.s.scripts.failures {
		if place.key == key {
			f.Input = slices.Clone(f.Input)
			list = append(list, &f)
		}
	}
	store.SortFailures(list)
	return list, nil
}
