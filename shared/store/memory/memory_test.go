package memory_test

import (
	"testing"

	"relink/shared/store/memory"
	"relink/shared/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Stores { return memory.New() })
}
