//! A map whose values belong to tasks, and end with them (`BPF_MAP_TYPE_TASK_STORAGE`), for which `aya-ebpf` has no type.

use core::ptr::{from_ref, null};

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE, task_struct},
    helpers::generated::bpf_task_storage_get,
};

/// The definition, as the loader reads it from the object's types.
#[repr(C)]
pub(crate) struct TaskStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the fields are there for their types only; nothing is ever read through them.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    pub(crate) const fn new() -> Self {
        Self { r#type: null(), key: null(), value: null(), max_entries: null(), map_flags: null() }
    }

    /// The task's value; null when it has none.
    #[inline(always)]
    pub(crate) fn get(&self, task: *mut task_struct) -> *mut T {
        self.value_of(task, 0)
    }

    /// The task's value, made of zeros when it has none; null when there is no memory for it.
    #[inline(always)]
    pub(crate) fn get_or_insert(&self, task: *mut task_struct) -> *mut T {
        self.value_of(task, BPF_LOCAL_STORAGE_GET_F_CREATE.into())
    }

    #[inline(always)]
    fn value_of(&self, task: *mut task_struct, flags: u64) -> *mut T {
        // SAFETY: the loader puts the map in the place of this definition; the verifier checks the task.
        unsafe { bpf_task_storage_get(from_ref(self).cast_mut().cast(), task, core::ptr::null_mut(), flags).cast() }
    }
}
