//! Many elements of a hash map in one system call (`BPF_MAP_UPDATE_BATCH`, `BPF_MAP_LOOKUP_BATCH`), which aya does not have.
//!
//! Publishing the verdicts of a large manifest one by one, and counting them key by key, is most of what a restart would take.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use aya::Pod;
use aya::maps::MapData;

/// A hash map that is read and written many elements at a time.
pub(super) struct Batch<K, V> {
    map: OwnedFd,
    elements: PhantomData<(K, V)>,
}

impl<K: Pod, V: Pod> Batch<K, V> {
    /// Of a map with keys and values of these types.
    ///
    /// # Errors
    /// When its keys or values have another size, or there is no descriptor left.
    pub fn of(map: &MapData) -> io::Result<Self> {
        let info = map.info().map_err(io::Error::other)?;
        let (key, value) = (info.key_size() as usize, info.value_size() as usize);
        if (key, value) != (size_of::<K>(), size_of::<V>()) {
            return Err(io::Error::other(format!("its keys have {key} bytes and its values {value}")));
        }
        Ok(Self { map: map.fd().as_fd().try_clone_to_owned()?, elements: PhantomData })
    }

    /// Writes elements, each replacing an older one with its key. After an error, none or some of them have been written.
    pub fn update(&self, elements: &[(K, V)]) -> io::Result<()> {
        let (keys, values): (Vec<K>, Vec<V>) = elements.iter().copied().unzip();
        let mut attributes = self.attributes(elements.len())?;
        attributes.keys = keys.as_ptr() as u64;
        attributes.values = values.as_ptr() as u64;
        // SAFETY: both arrays have `count` elements of the sizes that the map has, which the kernel only reads.
        unsafe { bpf(BPF_MAP_UPDATE_BATCH, &mut attributes) }
    }

    /// Shows every element once. One that is written or removed meanwhile may be shown or not.
    pub fn each(&self, mut visit: impl FnMut(&K, &V)) -> io::Result<()> {
        let mut room = AT_ONCE;
        let mut place: Option<u32> = None;
        loop {
            // SAFETY: keys and values are `Pod`, of which any bytes are a value, and so zeros are one.
            let (mut keys, mut values): (Vec<K>, Vec<V>) = unsafe { (vec![std::mem::zeroed(); room], vec![std::mem::zeroed(); room]) };
            let (before, mut after) = (place.unwrap_or_default(), 0_u32);
            let mut attributes = self.attributes(room)?;
            attributes.in_batch = place.map_or(0, |_| std::ptr::from_ref(&before) as u64);
            attributes.out_batch = std::ptr::from_mut(&mut after) as u64;
            attributes.keys = keys.as_mut_ptr() as u64;
            attributes.values = values.as_mut_ptr() as u64;
            // SAFETY: both arrays have room for `count` elements of the sizes that the map has; a hash map's place is a number of four bytes.
            let outcome = unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes) };
            let is_last = match outcome {
                Ok(()) => false,
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOENT) => true,
                    // A bucket has more elements than there is room for.
                    Some(libc::ENOSPC) => {
                        room *= 2;
                        continue;
                    }
                    _ => return Err(error),
                },
            };
            let count = (attributes.count as usize).min(room);
            keys[..count].iter().zip(&values[..count]).for_each(|(key, value)| visit(key, value));
            if is_last {
                return Ok(());
            }
            place = Some(after);
        }
    }

    fn attributes(&self, count: usize) -> io::Result<Attributes> {
        let count = u32::try_from(count).map_err(io::Error::other)?;
        Ok(Attributes { count, map_fd: self.map.as_raw_fd().cast_unsigned(), ..Attributes::default() })
    }
}

/// `union bpf_attr`, its member `batch` (`include/uapi/linux/bpf.h`).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

const _: () = assert!(size_of::<Attributes>() == 56);

/// # Safety
///
/// The addresses in `attributes` are those of arrays that the command may read, or write, as far as `count` says.
unsafe fn bpf(command: libc::c_int, attributes: &mut Attributes) -> io::Result<()> {
    // SAFETY: the caller's, and the attributes are as long as is said.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<Attributes>()) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;
const BPF_MAP_UPDATE_BATCH: libc::c_int = 26;
/// Elements of a map that are read in one call.
const AT_ONCE: usize = 4096;
