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

void Multiply(MatrixView a, const float* b, char transpose_b, size_t b_stride, size_t cols,
              float* out, size_t stride) {
  if (a.rows == 0 || cols == 0) return;
  const SingleThreaded single_threaded;
  const dnnl_status_t status =
      dnnl_sgemm('N', transpose_b, static_cast<dnnl_dim_t>(a.rows), static_cast<dnnl_dim_t>(cols),
                 static_cast<dnnl_dim_t>(a.cols), 1.0f, a.data, static_cast<dnnl_dim_t>(a.cols), b,
                 static_cast<dnnl_dim_t>(b_stride), 0.0f, out, static_cast<dnnl_dim_t>(stride));
  // Shapes are valid by construction; what is left is out of memory, which aborts everywhere else.
  TESSERA_CHECK(status == dnnl_success);
}

}  // namespace

void InnerProducts(MatrixView a, MatrixView b, float* out, size_t stride) {
  TESSERA_CHECK(a.cols == b.cols && stride >= b.rows);
  Multiply(a, b.data, 'T', b.cols, b.rows, out, stride);
}

void InnerProductsTransposed(MatrixView a, const float* b, size_t n, float* out) {
  Multiply(a, b, 'N', n, n, out, n);
}

}  // namespace tessera
