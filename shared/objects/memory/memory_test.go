package memory_test

import (
	"testing"

	"relink/shared/objects"
	"relink/shared/objects/memory"
	"relink/shared/objects/objectstest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	objectstest.Run(t, func(*testing.T) objects.Bucket { return new(memory.Bucket) })
}
