#include "index/cluster/gemm.h"

#include <dnnl.h>

#include "index/base/check.h"

// oneDNN's thread runtime is OpenMP (or none). These two are declared here because a compiler's
// omp.h belongs to that compiler's own runtime, and oneDNN's is libgomp whatever compiles us.
static_assert(DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP || DNNL_CPU_RUNTIME == DNNL_RUNTIME_SEQ);
extern "C" {
int omp_get_max_threads(void);
void omp_set_num_threads(int);
}

namespace tessera {
namespace {

// The number of threads is a variable of the calling thread in OpenMP: with one, oneDNN enters no
// parallel region and starts no thread. The caller's own setting is put back.
class SingleThreaded {
 public:
  SingleThreaded() : threads_before_(omp_get_max_threads()) {
    if (threads_before_ != 1) omp_set_num_threads(1);
  }
  ~SingleThreaded() {
    if (threads_before_ != 1) omp_set_num_threads(threads_before_);
  }
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int threads_before_;
};

}  // namespace

void InnerProducts(MatrixView a, MatrixView b, float* out, size_t stride) {
  TESSERA_CHECK(a.cols == b.cols && stride >= b.rows);
  if (a.rows == 0 || b.rows == 0) return;
  const SingleThreaded single_threaded;
  const auto m = static_cast<dnnl_dim_t>(a.rows);
  const auto n = static_cast<dnnl_dim_t>(b.rows);
  const auto k = static_cast<dnnl_dim_t>(a.cols);
  const dnnl_status_t status = dnnl_sgemm('N', 'T', m, n, k, 1.0f, a.data, k, b.data, k, 0.0f, out,
                                          static_cast<dnnl_dim_t>(stride));
  // Shapes are valid by construction; what is left is out of memory, which aborts everywhere else.
  TESSERA_CHECK(status == dnnl_success);
}

}  // namespace tessera
