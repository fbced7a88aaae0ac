package ram_test

import (
	"testing"

	"go.uber.org/goleak"

	"nearcast/edge/store"
	"nearcast/edge/store/ram"
	"nearcast/edge/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	const budget = 1 << 20
	storetest.Run(t, budget, func(t *testing.T) store.Store {
		s, err := ram.New(ram.Config{Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestNewRefusesNoRoom(t *testing.T) {
	for _, budget := range []int64{0, -1} {
		if _, err := ram.New(ram.Config{Budget: budget}); err == nil {
			t.Errorf("New(%d) made a store", budget)
		}
	}
}
